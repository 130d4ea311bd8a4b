"""How every patch and stage of a run ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from viamachinae.config import ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.options import read_config
from viamachinae.pipeline.extent import WHOLE
from viamachinae.pipeline.stage import STAGE_NAMES
from viamachinae.sky import dusty_patches, tile
from viamachinae.store.files import write_json
from viamachinae.store.records import GOOD, Outcome, Record, read_record, worst
from viamachinae.store.run import RunFolder

# Ends of the lines of a patch with which it is linked, or has nothing to link.
LINKABLE: frozenset[Outcome] = GOOD | {"partial"}

_ORDER: dict[str, int] = {stage: number for number, stage in enumerate(STAGE_NAMES)}


def status(out: Path) -> list[Record]:
    """Records of a run that exist, patch by patch in the order of the tiling.

    A patch left out for its dust comes after the others, as stage ``tile`` without work.

    Raises
    ------
    BadInputError
        If `out` is no run folder.
    """
    return _records(run_config(out), RunFolder(out))


def run_config(out: Path) -> ScanConfig:
    """The configuration of a run.

    Raises
    ------
    BadInputError
        If `out` is no run folder.
    """
    run = RunFolder(out)
    if not run.config.is_file():
        raise BadInputError(f"{out}: is not a run folder (it has no config.yaml)")
    return read_config(run.config)


@dataclass(frozen=True)
class Standing:
    """How one stage of one patch stands.

    Attributes
    ----------
    stage, patch, scan : str
        Of what; `patch` is None for stages above the patches.
    record : Record or None
        How it ended; None if it did not, as yet.
    log : Path
        Where the details of a failure stand.
    """

    stage: str
    patch: str | None
    scan: str | None
    record: Record | None
    log: Path

    @property
    def outcome(self) -> str:
        """The outcome, or ``waiting``."""
        return self.record.outcome if self.record else "waiting"

    @property
    def reason(self) -> str:
        """Why, where it is not plainly done."""
        return self.record.reason if self.record else ""

    @property
    def is_good(self) -> bool:
        """Whether it ended as done or without work, or may yet do so."""
        return self.record is None or self.record.outcome in GOOD

    def log_tail(self, lines: int = 5) -> str:
        """The last lines of the details; empty where there are none."""
        return "" if self.is_good or not self.log.is_file() else _tail(self.log, lines)

    def as_row(self) -> dict[str, Any]:
        """What scripts may want to know, as JSON can say it."""
        row: dict[str, Any] = {"patch": self.patch, "stage": self.stage, "scan": self.scan}
        row |= {"outcome": self.outcome, "reason": self.reason}
        if self.record is not None:
            row |= {
                "seconds": self.record.seconds,
                "memory_bytes": self.record.memory_bytes,
                "device_memory_bytes": self.record.device_memory_bytes,
                "device": self.record.device,
                "host": self.record.provenance.get("host", ""),
                "ended": self.record.provenance.get("ended", ""),
            }
        return {**row, "log": self.log_tail()}


def standing(out: Path) -> list[Standing]:
    """How every stage of every patch stands, in the order of the tiling; those above come last.

    Raises
    ------
    BadInputError
        If `out` is no run folder.
    """
    config, run = run_config(out), RunFolder(out)
    places: list[tuple[str, str | None, str | None]] = [
        (stage, patch.id, scan)
        for patch in tile(config.sky)
        for stage, scan in WHOLE.places(config)
    ]
    places += [("link", None, None), ("inspect", None, None)]
    found = []
    for stage, patch, scan in places:
        path = run.record(stage, patch, scan)
        found.append(Standing(stage, patch, scan, read_record(path), path.with_suffix(".log")))
    return found


def awaited(found: Sequence[Standing]) -> list[Standing]:
    """Those whose records may still come: none does that needs what failed."""
    failed = [one for one in found if one.patch and one.outcome == "failed"]
    missing = [
        one
        for one in found
        if one.patch and one.record is None and not any(_stops(other, one) for other in failed)
    ]
    if missing or any(one.stage == "lines" and one.outcome in LINKABLE for one in found):
        missing += [one for one in found if one.patch is None and one.record is None]
    return missing


def _stops(failed: Standing, other: Standing) -> bool:
    return (
        failed.patch == other.patch
        and (failed.scan == other.scan or None in (failed.scan, other.scan))
        and _ORDER[failed.stage] < _ORDER[other.stage]
    )


def newest_log(out: Path, lines: int = 5) -> str:
    """Name and last lines of the log that a job of a workflow wrote last; empty without one."""
    logs = [path for path in (RunFolder(out).workflow / "logs").glob("*.log") if path.is_file()]
    if not logs:
        return ""
    newest = max(logs, key=lambda path: path.stat().st_mtime)
    return f"{newest}:\n{_tail(newest, lines)}"


def _tail(path: Path, lines: int) -> str:
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def patch_records(config: ScanConfig, run: RunFolder, patch: str) -> list[Record]:
    """Records of one patch that exist, in the order of the stages."""
    paths = [run.record(stage, patch, scan) for stage, scan in WHOLE.places(config)]
    return [record for path in paths if (record := read_record(path)) is not None]


def has_lines(config: ScanConfig, out: Path) -> bool:
    """Whether some patch has come to an end that can be linked, be it without a line."""
    run = RunFolder(out)
    ended = (read_record(run.record("lines", patch.id)) for patch in tile(config.sky))
    return any(record is not None and record.outcome in LINKABLE for record in ended)


def _records(config: ScanConfig, run: RunFolder) -> list[Record]:
    records = [one for patch in tile(config.sky) for one in patch_records(config, run, patch.id)]
    records += [_left_out(patch.id, reason) for patch, reason in dusty_patches(config.sky)]
    above = [read_record(run.record(stage)) for stage in ("link", "inspect")]
    return records + [record for record in above if record is not None]


def _left_out(patch: str, reason: str) -> Record:
    """What stands for a patch that the tiling leaves out for its dust."""
    return Record("tile", patch, None, "no_work", reason, 0.0, key="", inputs={}, outputs={})


def outcome_of(records: Sequence[Record]) -> Outcome:
    """How the whole ended whose stages ended so.

    That its stars were taken does not make a patch done in which nothing was scanned.
    """
    scanned = [one for one in records if (one.stage, one.outcome) != ("preprocess", "done")]
    return worst([record.outcome for record in scanned or records])


def reason_of(records: Sequence[Record]) -> str:
    """Why the whole ended as it did, in the words of the first stage that ended so."""
    outcome = outcome_of(records)
    return next((record.reason for record in records if record.outcome == outcome), "")


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
