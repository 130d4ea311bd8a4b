"""Training what scores the stars of a patch in one scan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from viamachinae.config import Scan
from viamachinae.disk import atomic
from viamachinae.errors import UnprocessableError
from viamachinae.pipeline.checkpoints import Checkpoints
from viamachinae.pipeline.stage import Advance, Ending, Task, run_task
from viamachinae.pipeline.stages import TRAIN
from viamachinae.pipeline.stopping import softly
from viamachinae.pipeline.tasks.work import Work
from viamachinae.pipeline.training_memory import training_bytes
from viamachinae.score import method
from viamachinae.score.evaluation import one_thread
from viamachinae.score.features import feature_matrix
from viamachinae.score.health import health_table
from viamachinae.score.patch_stars import PatchStars
from viamachinae.score.regions import all_regions, signal_regions, why_none
from viamachinae.score.trained import save_flows
from viamachinae.store.files import read_table, write_table
from viamachinae.store.records import SETTLED, Record


def train(work: Work, scan: Scan, prepared: Record) -> Record:
    """Train every signal region of a scan, unless that is done, and judge what was learned.

    Parameters
    ----------
    work : Work
        Its run folder may hold checkpoints of an earlier attempt, which then goes on.
    scan : str
    prepared : Record
        Of the stars.
    """
    run, config, where = work.run, work.config, work.patch
    flows_path, training_path = run.flows(where.id, scan), run.training(where.id, scan)
    health_path = run.health(where.id, scan)
    features = config.preprocess.features

    @one_thread()
    def do(advance: Advance) -> Ending:
        table = read_table(run.stars(where.id))
        x, condition = feature_matrix(table, scan, features)
        regions = signal_regions(condition[:, 0], scan, config.regions)
        if not regions:
            found = all_regions(condition[:, 0], scan, config.regions)
            return "no_work", why_none(found, config.regions)
        work.memory.training(training_bytes(len(table), len(regions), config))
        stars = PatchStars.prepare(
            x,
            condition,
            table["source_id"].data,
            scan=scan,
            patch=where.id,
            seed=config.seed,
            features=features,
            held_out=config.train.held_out,
        )
        with softly():
            trained, history = method.train(
                stars, regions, config.train, config.score, advance, checkpoints
            )
        health = health_table(trained, stars, config.train.health, config.train.device)
        ill = np.flatnonzero(health["problem"] != "").tolist()
        trained = replace(trained, refused=frozenset(ill))
        with atomic(flows_path) as temporary:
            save_flows(temporary, trained)
        write_table(training_path, history)
        write_table(health_path, health)
        lost = trained.failed_regions()
        if not lost:
            return "done", ""
        first = health["problem"][health["region"] == lost[0].lower][0]
        problems = f"from {lost[0].lower:g} mas/yr: {first}"
        if len(lost) == len(regions):
            raise UnprocessableError(f"no signal region in {scan} can be used; {problems}")
        return "partial", (
            f"{len(lost)} of {len(regions)} signal regions cannot be used; {problems}; "
            f"{health_path.name} names all"
        )

    outputs = [flows_path, training_path, health_path]
    task = Task(TRAIN, run, config, [prepared], outputs, do, where.id, scan)
    checkpoints = Checkpoints(
        run.checkpoints(where.id, scan), task.identity(), config.train.checkpoint_seconds
    )
    record = run_task(task, work.watch)
    if record.outcome in SETTLED:
        checkpoints.clear()
    return record
