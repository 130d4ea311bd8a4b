"""Above the patches: link what all of them found into stream candidates, and write the report."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from viamachinae.config import ScanConfig
from viamachinae.inspect.exports import candidates_ecsv, members_parquet
from viamachinae.link.candidates import candidate_line_stars, find_candidates
from viamachinae.link.consistency import with_consistency
from viamachinae.link.evidence import evidence
from viamachinae.pipeline.calibrate import calibrate
from viamachinae.pipeline.events import Watcher, unwatched
from viamachinae.pipeline.inspect import write_report
from viamachinae.pipeline.linked import linked_trainings
from viamachinae.pipeline.null_skies import NullSky, null_records, standing_nulls
from viamachinae.pipeline.stage import Advance, Ending, Stage, Task, run_task
from viamachinae.pipeline.stages import ABOVE_PATCHES, single_trainings
from viamachinae.pipeline.status import patch_records
from viamachinae.sky import Patch, tile
from viamachinae.store.files import (
    content_hash,
    write_bytes,
    write_json,
    write_table,
    write_text,
)
from viamachinae.store.records import Record
from viamachinae.store.run import RunFolder
from viamachinae.validate.orbit import add_orbits

LINK = Stage(
    "link",
    (
        *("link", "sky", "dust", "catalog", "score/features", "score/seeds"),
        *("validate/calibration", "validate/nulls", "validate/orbit"),
        *("simulate/kinematics", "simulate/tracks"),
        *("inspect/comparison", "inspect/exports", "inspect/formats"),
        *("inspect/projection", "inspect/track"),
        *("pipeline/calibrate", "pipeline/link", "pipeline/linked"),
    ),
    lambda config: [
        config.link.model_dump(mode="json", include=ABOVE_PATCHES | {"clumps"}),
        config.seed,
    ],
)


def link(
    config: ScanConfig, out: Path, watch: Watcher = unwatched, *, report: bool = True
) -> list[Record]:
    """Link the patches that are done into candidates and members, and write the report.

    Null skies that lie in the folder calibrate the candidates.

    Parameters
    ----------
    out : Path
        The run folder.
    report : bool
        Without it the report is left to `inspect`.

    Returns
    -------
    list of Record
        How link and inspect ended.
    """
    run = RunFolder(out)
    patches = tile(config.sky)
    records = {patch.id: patch_records(config, run, patch.id) for patch in patches}
    skies = standing_nulls(config, run, chain.from_iterable(records.values()))
    linked = _link(config, run, patches, records, skies, watch)
    if not report:
        return [linked]
    return [linked, write_report(config, run, patches, records, linked, watch)]


def _link(
    config: ScanConfig,
    run: RunFolder,
    patches: list[Patch],
    records: dict[str, list[Record]],
    skies: list[NullSky],
    watch: Watcher,
) -> Record:
    lines = {
        patch: record
        for patch, ended in records.items()
        for record in ended
        if record.stage == "lines" and record.outcome in ("done", "partial")
    }
    stars = [record for patch in lines for record in records[patch] if record.stage == "preprocess"]

    nulls = null_records(config, skies, watch)

    def do(advance: Advance) -> Ending:
        _write(config, run, [patch for patch in patches if patch.id in lines], skies, advance)
        return "done", ""

    outputs = [run.candidates, run.members, run.lineage, *([run.calibration] if skies else [])]
    upstream = [*stars, *lines.values()]
    outer = {
        f"null sky {sky.name}": content_hash([config.nulls.confidence, record.outputs])
        for sky, record in zip(skies, nulls, strict=True)
    }
    return run_task(Task(LINK, run, config, upstream, outputs, do, outer=outer), watch)


def _write(
    config: ScanConfig,
    run: RunFolder,
    patches: list[Patch],
    skies: list[NullSky],
    advance: Advance,
) -> None:
    """Write candidates, members, lineage and what null skies say, of patches with lines."""
    trainings = [None, *single_trainings(config)]
    read = []
    for done, patch in enumerate(patches):
        read.append(linked_trainings(run, patch, trainings))
        advance(done + 1, len(patches))
    linked, *alone = ([one[n] for one in read] for n in range(len(trainings)))
    options = config.link.candidates
    again = [candidate_line_stars(one, options) for one in alone]
    found = with_consistency(find_candidates(linked, options), again, options.min_shared)
    write_bytes(run.members, members_parquet(found.members))
    write_table(run.lineage, found.lineage)
    table = evidence(found, config.link, config.seed)
    if config.link.orbits.n_candidates:
        add_orbits(table, found.members, config.link.orbits)
    if skies:
        table, content = calibrate(config, skies, linked, table, found.members)
        write_json(run.calibration, content)
    else:
        run.calibration.unlink(missing_ok=True)
    write_text(run.candidates, candidates_ecsv(table))
