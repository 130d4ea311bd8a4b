"""Null skies of a scan: runs of their own below its folder, by the same stages."""

from __future__ import annotations

from pathlib import Path

from viamachinae.config import NullKind, ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.pipeline.batch import batch
from viamachinae.pipeline.events import Watcher, unwatched
from viamachinae.pipeline.link import link
from viamachinae.pipeline.prepare import default_workers, prepare
from viamachinae.pipeline.status import run_config, write_status
from viamachinae.sky import tile
from viamachinae.store.records import Record
from viamachinae.store.run import RunFolder
from viamachinae.validate.nulls import null_config


def null(
    out: Path,
    kind: NullKind | None = None,
    skies: int | None = None,
    patches: int | None = None,
    *,
    workers: int | None = None,
    watch: Watcher = unwatched,
) -> dict[str, list[Record]]:
    """Make null skies of a run, or more of them, and calibrate its candidates on them.

    What an earlier call did is kept; null skies of another configuration are brought up to date.

    Parameters
    ----------
    out : Path
        The run folder.
    kind, skies, patches : optional
        Instead of the options ``nulls.kind``, ``nulls.skies`` (1 where it is 0) and
        ``nulls.patches`` of the run.
    workers : int, optional
        Patches at once; by default one a core, and one where a GPU is used.

    Returns
    -------
    dict
        Records of the patches of the null skies, and of link and inspect as ``link``.

    Raises
    ------
    BadInputError
        If `out` is no run folder, or a null sky itself, or its source cannot be used.
    """
    config = with_nulls(out, kind, skies, patches)
    records = null_skies(config, out, workers=workers, watch=watch)
    above = link(config, out, watch)
    write_status(config, out)
    return {**records, "link": above}


def with_nulls(
    out: Path, kind: NullKind | None, skies: int | None, patches: int | None
) -> ScanConfig:
    """The configuration of a run, with what is asked of null skies; as `null`."""
    given = run_config(out)
    if given.nulls.draw is not None:
        raise BadInputError(f"{out}: is a null sky itself; name the run that it belongs to")
    asked = {"kind": kind, "skies": skies or given.nulls.skies or 1, "patches": patches}
    changes = {name: value for name, value in asked.items() if value is not None}
    return given.model_copy(update={"nulls": given.nulls.model_copy(update=changes)})


def lay(config: ScanConfig, out: Path) -> dict[Path, ScanConfig]:
    """Lay the run folders of all null skies that a configuration asks for, ready for work."""
    nulls, laid = config.nulls, {}
    for draw in range(nulls.skies):
        sky = null_config(config, nulls.kind, draw, nulls.patches)
        folder = RunFolder(out).nulls / f"{nulls.kind}-{draw}"
        prepare(sky, folder)
        laid[folder] = sky
    return laid


def null_skies(
    config: ScanConfig,
    out: Path,
    *,
    workers: int | None = None,
    watch: Watcher = unwatched,
) -> dict[str, list[Record]]:
    """Run all null skies that a configuration asks for, as far as their lines.

    They are linked with the scan itself, at its cuts.

    Returns
    -------
    dict
        Records by null sky and patch.
    """
    found: dict[str, list[Record]] = {}
    for folder, sky in lay(config, out).items():
        patches = [patch.id for patch in tile(sky.sky)]
        at_once = min(workers or default_workers(sky), len(patches))
        records = batch(sky, folder, patches, workers=at_once, apart=at_once > 1, watch=watch)
        write_status(sky, folder)
        found |= {f"{folder.name}/{patch}": ended for patch, ended in records.items()}
    return found
