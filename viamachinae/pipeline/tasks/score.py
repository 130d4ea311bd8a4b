"""Scoring the stars of a patch in one scan."""

from __future__ import annotations

from viamachinae.config import Scan
from viamachinae.pipeline.stage import Advance, Ending, Task, run_task
from viamachinae.pipeline.stages import SCORE
from viamachinae.pipeline.tasks.work import Work
from viamachinae.score import method
from viamachinae.score.evaluation import one_thread
from viamachinae.score.features import feature_matrix
from viamachinae.score.trained import load_flows
from viamachinae.store.files import read_table, write_table
from viamachinae.store.records import Record


def score(work: Work, scan: Scan, prepared: Record, trained: Record) -> Record:
    """Score the fiducial stars in every signal region of a scan, unless that is done.

    Parameters
    ----------
    work : Work
    scan : str
    prepared, trained : Record
        Of the stars, and of the training in this scan, whose outcome passes on.
    """
    run, config, where = work.run, work.config, work.patch
    path, features = run.scores(where.id, scan), config.preprocess.features

    @one_thread()
    def do(_: Advance) -> Ending:
        stars = read_table(run.stars(where.id))
        fiducial = stars[stars["fiducial"]]
        x, condition = feature_matrix(fiducial, scan, features)
        flows = load_flows(run.flows(where.id, scan), features)
        scores = method.score(flows, x, condition, fiducial["source_id"].data, config.train.device)
        write_table(path, scores)
        # A density that failed is the training's outcome, and passes on.
        return trained.outcome, trained.reason

    inputs = [prepared, trained] if trained.outcome in ("done", "partial") else [trained]
    return run_task(Task(SCORE, run, config, inputs, [path], do, where.id, scan), work.watch)
