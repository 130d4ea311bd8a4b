"""Doing patches again: all that failed, or some from a stage on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from viamachinae.config import ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.pipeline.batch import batch
from viamachinae.pipeline.checkpoints import Checkpoints
from viamachinae.pipeline.done_files import forget_done
from viamachinae.pipeline.events import Watcher, unwatched
from viamachinae.pipeline.extent import WHOLE
from viamachinae.pipeline.link import link
from viamachinae.pipeline.scan import ScanResult
from viamachinae.pipeline.stage import STAGE_NAMES, StageName
from viamachinae.pipeline.status import is_good, patch_records, run_config, write_status
from viamachinae.pipeline.workflow import refuse_locked
from viamachinae.sky import tile
from viamachinae.store.records import GOOD
from viamachinae.store.run import RunFolder


def failed_patches(config: ScanConfig, run: RunFolder) -> list[str]:
    """Patches that were begun and did not come to a good end, in the order of the tiling."""
    failed = []
    for patch in tile(config.sky):
        records = patch_records(config, run, patch.id)
        whole = len(records) == len(WHOLE.places(config))
        # A patch whose process left no record has its folder.
        if run.patch(patch.id).is_dir() and not (whole and is_good(records)):
            failed.append(patch.id)
    return failed


def forget(config: ScanConfig, run: RunFolder, patch: str, first: StageName | None = None) -> None:
    """Forget what is recorded of a patch from a stage on, so that the next run does it again.

    Parameters
    ----------
    first : str, optional
        The stage; by default only what did not end well is forgotten.
    """
    forgotten: set[str] = set()
    for stage, scan in WHOLE.places(config):
        path = run.record(stage, patch, scan)
        if first is None:
            again = any(
                (r.stage, r.scan) == (stage, scan) and r.outcome not in GOOD
                for r in patch_records(config, run, patch)
            )
        else:
            again = STAGE_NAMES.index(stage) >= STAGE_NAMES.index(first)
        if not again:
            continue
        forgotten.add(stage)
        path.unlink(missing_ok=True)
        path.with_suffix(".log").unlink(missing_ok=True)
        if stage == "train" and scan is not None and first is not None:
            Checkpoints(run.checkpoints(patch, scan), "", 0.0).clear()
    forget_done(run, patch, forgotten)


def chosen(
    out: Path, patches: Sequence[str], failed: bool, first: str | None
) -> tuple[ScanConfig, list[str]]:
    """The configuration of a run, and the patches to do again, whose records are forgotten.

    Raises
    ------
    BadInputError
        If `out` is no run folder or Snakemake is at work on it, the tiling lacks a patch, or
        nothing is asked for.
    """
    config, run = run_config(out), RunFolder(out)
    refuse_locked(out)
    known = [patch.id for patch in tile(config.sky)]
    if bool(patches) == failed:
        raise BadInputError("rerun: name patches, or give --failed")
    for patch in patches:
        if patch not in known:
            raise BadInputError(f"{patch}: is no patch of {out}; `viamachinae status` lists them")
    stages = [name for name in STAGE_NAMES if name == first]
    if first is not None and not stages:
        raise BadInputError(f"--from {first}: must be one of {', '.join(STAGE_NAMES)}")
    again = failed_patches(config, run) if failed else list(patches)
    start = stages[0] if stages else (None if failed else STAGE_NAMES[0])
    for patch in again:
        forget(config, run, patch, start)
    return config, again


def rerun(
    out: Path,
    patches: Sequence[str] = (),
    *,
    failed: bool = False,
    first: str | None = None,
    workers: int = 1,
    watch: Watcher = unwatched,
) -> ScanResult:
    """Do patches of a run again, and link what is done afterwards.

    Parameters
    ----------
    out : Path
        The run folder, with the configuration in it.
    patches : sequence of str
        Ids.
    failed : bool
        Do those that did not end well, instead: only the stages concerned.
    first : str, optional
        The stage to begin with; by default all are done again.
    workers : int
        Patches at once.

    Raises
    ------
    BadInputError
        As `chosen`, or if the source cannot be used.
    """
    config, again = chosen(out, patches, failed, first)
    records = batch(config, out, again, WHOLE, workers=workers, watch=watch) if again else {}
    above = link(config, out, watch)
    write_status(config, out)
    return ScanResult(records, above)
