"""The stages of one patch, from its stars to its protoclusters: the unit of work on a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from viamachinae.config import Scan, ScanConfig
from viamachinae.disk import atomic
from viamachinae.errors import UnprocessableError
from viamachinae.link.consistency import scores_of
from viamachinae.link.hough import hough_plane
from viamachinae.link.protoclusters import find_protoclusters
from viamachinae.link.roi import regions_of_interest
from viamachinae.link.unsearched import unsearched
from viamachinae.pipeline.checkpoints import Checkpoints
from viamachinae.pipeline.estimate import Foreseen
from viamachinae.pipeline.events import Watcher, unwatched
from viamachinae.pipeline.extent import WHOLE, Extent, recorded
from viamachinae.pipeline.sources import input_fingerprint, open_source
from viamachinae.pipeline.stage import Advance, Ending, StageName, Task, run_task
from viamachinae.pipeline.stages import LINES, PREPROCESS, SCORE, TRAIN, single_trainings
from viamachinae.pipeline.stopping import softly
from viamachinae.preprocess.patch import needed_columns, preprocess
from viamachinae.score import method
from viamachinae.score.features import feature_matrix
from viamachinae.score.health import health_table
from viamachinae.score.patch_stars import PatchStars
from viamachinae.score.regions import all_regions, signal_regions, why_none
from viamachinae.score.trained import load_flows, save_flows
from viamachinae.sky import Patch, patches_named
from viamachinae.store.files import read_arrow, read_table, write_json, write_table
from viamachinae.store.records import SETTLED, Record
from viamachinae.store.run import RunFolder


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread: the bytes of results must not depend on the number of cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class _Work:
    """A patch at work: what all its stages need to know."""

    run: RunFolder
    config: ScanConfig
    patch: Patch
    watch: Watcher
    memory: Foreseen


def patch(
    config: ScanConfig,
    out: Path,
    patch_id: str,
    extent: Extent = WHOLE,
    *,
    watch: Watcher = unwatched,
    fingerprint: str | None = None,
) -> list[Record]:
    """Bring a patch up to date; what an earlier run did is kept.

    Parameters
    ----------
    config : ScanConfig
    out : Path
        The run folder.
    patch_id : str
        As in the tiling.
    extent : Extent
        The stages to run; by default all.
    watch : callable
        Is told how the stages fare.
    fingerprint : str, optional
        What `input_fingerprint` gives, where the caller knows it already.

    Returns
    -------
    list of Record
        How each of these stages ended, in order.

    Raises
    ------
    BadInputError
        If the tiling does not hold the patch, or the source cannot be used.
    """
    run, (where,) = RunFolder(out), patches_named(config.sky, [patch_id])
    work = _Work(run, config, where, watch, Foreseen(config, run, patch_id))
    with one_thread():
        records = _through_stages(work, extent, fingerprint)
    work.memory.warn_after(records)
    return records


def _through_stages(work: _Work, extent: Extent, fingerprint: str | None) -> list[Record]:
    wanted, where = extent.places(work.config), work.patch.id
    ended: dict[tuple[StageName, Scan | None], Record] = {}
    for stage, scan in WHOLE.places(work.config):
        if (stage, scan) not in wanted:
            ended[stage, scan] = recorded(work.run, stage, where, scan)
            continue
        prepared = ended.get(("preprocess", None))
        if prepared is None:
            known = fingerprint or input_fingerprint(work.config, open_source(work.config))
            record = _preprocess(work, known)
        elif scan is None:
            scored = [one for (name, _), one in ended.items() if name == "score"]
            record = _lines(work, prepared, scored)
        elif stage == "train":
            record = _train(work, scan, prepared)
        else:
            record = _score(work, scan, prepared, ended["train", scan])
        ended[stage, scan] = record
    return [ended[place] for place in wanted]


def _preprocess(work: _Work, fingerprint: str) -> Record:
    run, config, where = work.run, work.config, work.patch
    stars_path, cutflow_path = run.stars(where.id), run.cutflow(where.id)

    def do(_: Advance) -> Ending:
        source = open_source(config)
        columns = needed_columns(config.preprocess, source.columns(), source.name)
        taken = source.stars(where.ra, where.dec, where.radius_deg, columns)
        stars, cutflow = preprocess(taken, where, config.preprocess, config.query.release)
        write_json(cutflow_path, cutflow.as_dict())
        if not len(stars):
            return "no_work", f"{source.name} holds no usable star within the patch"
        write_table(stars_path, stars)
        return "done", ""

    outer = {"source": fingerprint, "patch": where.id}
    return run_task(
        Task(PREPROCESS, run, config, [], [stars_path, cutflow_path], do, where.id, outer=outer),
        work.watch,
    )


def _train(work: _Work, scan: Scan, prepared: Record) -> Record:
    run, config, where = work.run, work.config, work.patch
    flows_path, training_path = run.flows(where.id, scan), run.training(where.id, scan)
    health_path = run.health(where.id, scan)
    features = config.preprocess.features

    def do(advance: Advance) -> Ending:
        table = read_table(run.stars(where.id))
        x, condition = feature_matrix(table, scan, features)
        regions = signal_regions(condition[:, 0], scan, config.regions)
        if not regions:
            found = all_regions(condition[:, 0], scan, config.regions)
            return "no_work", why_none(found, config.regions)
        work.memory.training(len(table), len(regions))
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


def _score(work: _Work, scan: Scan, prepared: Record, trained: Record) -> Record:
    run, config, where = work.run, work.config, work.patch
    path, features = run.scores(where.id, scan), config.preprocess.features

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


def _lines(work: _Work, prepared: Record, scored: list[Record]) -> Record:
    run, config, where = work.run, work.config, work.patch
    usable = [record for record in scored if record.outcome in ("done", "partial")]
    numbers: list[int | None] = [None, *single_trainings(config)]

    def do(advance: Advance) -> Ending:
        names = ["source_id", "phi", "lam", "pm_phi", "pm_lam"]
        stars = read_table(run.stars(where.id), names)
        scores = {
            scan: read_arrow(run.scores(where.id, scan))
            for scan in config.regions.scans
            if any(record.scan == scan for record in usable)
        }
        plane = hough_plane(config.link.lines, where.evaluation_radius_deg)
        for done, number in enumerate(numbers):
            own = {scan: scores_of(table, number) for scan, table in scores.items()}
            rois = regions_of_interest(stars, own, config.link, plane)
            lines_path, protoclusters_path = places[done]
            write_table(lines_path, rois.lines)
            write_table(protoclusters_path, find_protoclusters(rois, plane, config.link))
            advance(done + 1, len(numbers))
            if number is None:
                left_out, n_scored = unsearched(stars, own, rois.lines, config.link.roi)
        broken = [r for r in scored if r.outcome not in ("done", "no_work")]
        if broken:
            return "partial", broken[0].reason
        if not len(left_out):
            return "done", ""
        return "done", (
            f"{len(left_out)} of {n_scored} scored stars lie only in windows too poor for a list"
        )

    upstream = [prepared, *scored] if usable else scored
    places = [(run.lines(where.id, n), run.protoclusters(where.id, n)) for n in numbers]
    outputs = [path for pair in places for path in pair]
    return run_task(Task(LINES, run, config, upstream, outputs, do, where.id), work.watch)
