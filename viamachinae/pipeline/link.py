"""Above the patches: link what all of them found into stream candidates, and write the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from viamachinae.config import ScanConfig
from viamachinae.inspect.exports import candidates_ecsv, members_parquet
from viamachinae.link.candidates import find_candidates
from viamachinae.link.consistency import with_consistency
from viamachinae.link.evidence import evidence
from viamachinae.link.streams import LinkedPatch
from viamachinae.pipeline.events import Watcher, unwatched
from viamachinae.pipeline.inspect import write_report
from viamachinae.pipeline.stage import Advance, Ending, Stage, Task, run_task
from viamachinae.pipeline.stages import single_trainings
from viamachinae.pipeline.status import patch_records
from viamachinae.sky import Patch, tile
from viamachinae.store.files import (
    read_arrow,
    read_table,
    write_bytes,
    write_table,
    write_text,
)
from viamachinae.store.records import Record
from viamachinae.store.run import RunFolder

# Parts of the configuration of link that only this stage reads; `clumps` is read by lines too.
ABOVE_PATCHES = {"candidates", "crossmatch", "ridge", "clumps"}
LINK = Stage(
    "link",
    ("link", "sky", "catalog"),
    lambda config: [config.link.model_dump(mode="json", include=ABOVE_PATCHES), config.seed],
)


def link(config: ScanConfig, out: Path, watch: Watcher = unwatched) -> list[Record]:
    """Link the patches that are done into candidates and members, and write the report.

    Parameters
    ----------
    out : Path
        The run folder.

    Returns
    -------
    list of Record
        How link and inspect ended.
    """
    run = RunFolder(out)
    patches = tile(config.sky)
    records = {patch.id: patch_records(config, run, patch.id) for patch in patches}
    linked = _link(config, run, patches, records, watch)
    return [linked, write_report(config, run, patches, records, linked, watch)]


def _link(
    config: ScanConfig,
    run: RunFolder,
    patches: list[Patch],
    records: dict[str, list[Record]],
    watch: Watcher,
) -> Record:
    lines = {
        patch: record
        for patch, ended in records.items()
        for record in ended
        if record.stage == "lines" and record.outcome in ("done", "partial")
    }
    stars = [record for patch in lines for record in records[patch] if record.stage == "preprocess"]

    def do(advance: Advance) -> Ending:
        linked = []
        here = [patch for patch in patches if patch.id in lines]
        for done, patch in enumerate(here):
            linked.append(_linked_patch(run, patch))
            advance(done + 1, len(here))
        found = find_candidates(linked, config.link.candidates)
        again = (
            find_candidates([_linked_patch(run, one, n) for one in here], config.link.candidates)
            for n in single_trainings(config)
        )
        found = with_consistency(found, list(again), config.link.candidates.min_shared)
        write_bytes(run.members, members_parquet(found.members))
        write_table(run.lineage, found.lineage)
        write_text(run.candidates, candidates_ecsv(evidence(found, config.link, config.seed)))
        return "done", ""

    outputs = [run.candidates, run.members, run.lineage]
    return run_task(Task(LINK, run, config, [*stars, *lines.values()], outputs, do), watch)


def _linked_patch(run: RunFolder, patch: Patch, retraining: int | None = None) -> LinkedPatch:
    protoclusters = read_arrow(run.protoclusters(patch.id, retraining))
    columns = ["source_id", "ra", "dec", "pmra", "pmdec", "phot_g_mean_mag", "bp_rp"]
    stars = read_table(run.stars(patch.id), columns)
    wanted = np.unique(protoclusters["source_id"].combine_chunks().flatten().to_numpy())
    return LinkedPatch(
        patch,
        read_arrow(run.lines(patch.id, retraining)),
        protoclusters,
        stars[np.isin(stars["source_id"], wanted)],
    )
