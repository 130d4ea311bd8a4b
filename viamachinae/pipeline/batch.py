"""Some patches of a scan, each in a process of its own or all in this one."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from viamachinae.config import ScanConfig
from viamachinae.disk import remove_leftovers
from viamachinae.pipeline.events import Event, Watcher, unwatched
from viamachinae.pipeline.extent import WHOLE, Extent, recorded
from viamachinae.pipeline.sources import input_fingerprint, open_source
from viamachinae.pipeline.status import patch_records
from viamachinae.pipeline.workers import work_through
from viamachinae.sky import patches_named
from viamachinae.store.records import SETTLED, Record, provenance, read_record, write_record
from viamachinae.store.run import RunFolder


def batch(
    config: ScanConfig,
    out: Path,
    patches: Sequence[str],
    extent: Extent = WHOLE,
    *,
    workers: int = 1,
    apart: bool = True,
    fail_fast: bool = False,
    watch: Watcher = unwatched,
) -> dict[str, list[Record]]:
    """Bring patches up to date.

    Parameters
    ----------
    config : ScanConfig
    out : Path
        The run folder.
    patches : sequence of str
        Ids.
    extent : Extent
        The stages to run; by default all.
    workers : int
        Patches at once.
    apart : bool
        Each patch in a process of its own, whose death costs one patch.
    fail_fast : bool
        Start no further patch after the first that failed.
    watch : callable
        Is told how the stages fare.

    Returns
    -------
    dict
        Records by patch id.

    Raises
    ------
    BadInputError
        If the tiling lacks a patch, or the source cannot be used.
    """
    run = RunFolder(out)
    for patch in patches_named(config.sky, patches):
        remove_leftovers(run.patch(patch.id))
    before = [record for patch in patches for record in patch_records(config, run, patch)]
    reads = "preprocess" in extent.stages
    fingerprint = input_fingerprint(config, open_source(config)) if reads else ""
    job = functools.partial(_job, config, out, extent, fingerprint)
    mourn = functools.partial(_mourn, config, run, extent, before)
    return work_through(job, patches, min(workers, len(patches)), watch, mourn, fail_fast, apart)


def _job(
    config: ScanConfig, out: Path, extent: Extent, fingerprint: str, patch: str, watch: Watcher
) -> list[Record]:
    # Loaded in the process that works on the patch alone.
    from viamachinae.pipeline.patch import patch as run_patch

    # The folder alone tells that the patch was begun, should its process leave no record.
    RunFolder(out).patch(patch).mkdir(parents=True, exist_ok=True)
    return run_patch(config, out, patch, extent, watch=watch, fingerprint=fingerprint)


def _mourn(
    config: ScanConfig,
    run: RunFolder,
    extent: Extent,
    before: Sequence[Record],
    patch: str,
    last: Event | None,
    cause: str,
) -> list[Record]:
    """Record the stage in which the process of a patch died.

    That is the stage of its last event unless this had ended: then the next, or none. A stage
    that ended, in this job or in one before it, keeps its record; so does the stage itself where
    it is not of those `before`: another process, at work on the same, has ended it.
    """
    places = extent.places(config)
    at = 0
    if last is not None:
        at = next(n for n, place in enumerate(places) if place == (last.stage, last.scan))
        at += last.kind in ("end", "skip")
    records = [recorded(run, stage, patch, scan) for stage, scan in places[:at]]
    if at == len(places):
        return records
    stage, scan = places[at]
    record = Record(
        stage=stage,
        patch=patch,
        scan=scan,
        outcome="failed",
        reason=cause,
        seconds=0.0,
        key="",
        inputs={},
        outputs={},
        provenance=provenance(),
    )
    path = run.record(stage, patch, scan)
    there = read_record(path)
    if there is None or there.outcome not in SETTLED or there in before:
        write_record(path, record)
    return [*records, record]
