"""How every patch and stage of a run ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from viamachinae.config import ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.options import read_config
from viamachinae.pipeline.stage import stage_places
from viamachinae.sky import dusty_patches, tile
from viamachinae.store.files import write_json
from viamachinae.store.records import GOOD, Outcome, Record, read_record, worst
from viamachinae.store.run import RunFolder


def status(out: Path) -> list[Record]:
    """Records of a run that exist, patch by patch in the order of the tiling.

    A patch left out for its dust comes after the others, as stage ``tile`` without work.

    Raises
    ------
    BadInputError
        If `out` is no run folder.
    """
    run = RunFolder(out)
    if not run.config.is_file():
        raise BadInputError(f"{out}: is not a run folder (it has no config.yaml)")
    return _records(read_config(run.config), run)


def patch_records(config: ScanConfig, run: RunFolder, patch: str) -> list[Record]:
    """Records of one patch that exist, in the order of the stages."""
    paths = [run.record(stage, patch, scan) for stage, scan in stage_places(config)]
    return [record for path in paths if (record := read_record(path)) is not None]


def _records(config: ScanConfig, run: RunFolder) -> list[Record]:
    records = [one for patch in tile(config.sky) for one in patch_records(config, run, patch.id)]
    records += [_left_out(patch.id, reason) for patch, reason in dusty_patches(config.sky)]
    above = [read_record(run.record(stage)) for stage in ("link", "inspect")]
    return records + [record for record in above if record is not None]


def _left_out(patch: str, reason: str) -> Record:
    """What stands for a patch that the tiling leaves out for its dust."""
    return Record("tile", patch, None, "no_work", reason, 0.0, key="", inputs={}, outputs={})


def outcome_of(records: Sequence[Record]) -> Outcome:
    """How the whole ended whose stages ended so."""
    return worst([record.outcome for record in records])


def is_good(records: Sequence[Record]) -> bool:
    """Whether the whole ended as done or without work."""
    return outcome_of(records) in GOOD


def write_status(config: ScanConfig, out: Path) -> None:
    """Write status.json: a list of patch, stage, scan, outcome, reason and seconds."""
    run = RunFolder(out)
    rows: list[dict[str, Any]] = [
        {
            "patch": record.patch,
            "stage": record.stage,
            "scan": record.scan,
            "outcome": record.outcome,
            "reason": record.reason,
            "seconds": record.seconds,
        }
        for record in _records(config, run)
    ]
    write_json(run.status, rows)
