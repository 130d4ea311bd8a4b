"""One stage: run it unless its record says that it is up to date, and record how it ended."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from viamachinae.config import ScanConfig
from viamachinae.disk import FULL_DISK
from viamachinae.errors import ArchiveError, BadInputError, UnprocessableError
from viamachinae.pipeline.configs import keep_config
from viamachinae.pipeline.events import Event, Watcher
from viamachinae.pipeline.memory import PeakMemory
from viamachinae.store.files import content_hash, file_hash, write_text
from viamachinae.store.records import (
    Outcome,
    Record,
    code_hash,
    provenance,
    read_record,
    write_record,
)
from viamachinae.store.run import RunFolder

StageName = Literal["preprocess", "train", "score", "lines"]
STAGE_NAMES: tuple[StageName, ...] = get_args(StageName)

Ending = tuple[Outcome, str]
Advance = Callable[[float, float], None]


@dataclass(frozen=True)
class Stage:
    """What decides the result of a stage.

    Attributes
    ----------
    name : str
        Name in records and messages.
    rooms : tuple of str
        Folders and modules of the package whose code decides the outputs.
    options : callable
        The part of the configuration that decides the outputs.
    on_device : bool
        Whether it computes on the device of training.
    """

    name: str
    rooms: tuple[str, ...]
    options: Callable[[ScanConfig], Any]
    on_device: bool = False

    def key(self, config: ScanConfig) -> str:
        """Hash of the options and the code that decide the outputs."""
        return content_hash([self.options(config), code_hash(self.rooms)])


@dataclass(frozen=True)
class Task:
    """One stage in one place.

    Attributes
    ----------
    upstream : sequence of Record
        Records of the stages that must have ended; their outputs are the inputs.
    outputs : sequence of Path
        Files that `work` writes when it ends as done or partial.
    work : callable
        Does the work, telling ``advance(done, total)``; returns outcome and reason, or raises.
    outer : dict
        Names of inputs that do not stand in the run folder, to hashes.
    """

    stage: Stage
    run: RunFolder
    config: ScanConfig
    upstream: Sequence[Record]
    outputs: Sequence[Path]
    work: Callable[[Advance], Ending]
    patch: str | None = None
    scan: str | None = None
    outer: dict[str, str] = field(default_factory=dict)

    @property
    def record_path(self) -> Path:
        """Where the done-record stands."""
        return self.run.record(self.stage.name, self.patch, self.scan)

    def inputs(self) -> dict[str, str]:
        """Hashes of the inputs, and how the stages that made them ended."""
        found = dict(self.outer)
        for record in self.upstream:
            found |= record.outputs
            found["/".join(filter(None, (record.patch, record.scan, record.stage)))] = (
                record.outcome
            )
        return found

    def identity(self) -> str:
        """Hash of all that decides the outputs."""
        return content_hash([self.stage.key(self.config), self.inputs()])

    def made(self) -> dict[str, str]:
        """Hashes of the outputs as they stand."""
        root = self.run.root
        return {path.relative_to(root).as_posix(): file_hash(path) for path in self.outputs}

    def event(
        self,
        kind: Literal["start", "advance", "end", "skip"],
        *,
        done: float = 0.0,
        total: float = 0.0,
        record: Record | None = None,
    ) -> Event:
        """Say what happens to this task."""
        event = Event(kind, self.stage.name, self.patch, self.scan, done, total)
        if record is None:
            return event
        return replace(event, outcome=record.outcome, reason=record.reason, seconds=record.seconds)


def run_task(task: Task, watch: Watcher) -> Record:
    """Run a task unless the record of an earlier run still holds.

    Raises
    ------
    BadInputError
        If the work finds that the user's input cannot be used for any patch.
    """
    key, inputs = task.stage.key(task.config), task.inputs()
    previous = read_record(task.record_path)
    if previous is not None and previous.is_current(task.run.root, key, inputs):
        watch(task.event("skip", record=previous))
        return previous
    watch(task.event("start"))
    begin, peak = time.monotonic(), PeakMemory()
    inherited = _inherited(task.upstream)
    outcome, reason = inherited or _attempt(task, watch)
    record = Record(
        stage=task.stage.name,
        patch=task.patch,
        scan=task.scan,
        outcome=outcome,
        reason=reason,
        seconds=round(time.monotonic() - begin, 3),
        key=key,
        inputs=inputs,
        outputs=task.made() if outcome in ("done", "partial") else {},
        provenance=_provenance(task),
        # Where nothing was computed the device need not be there.
        device="" if inherited else _device(task),
        memory_bytes=peak.host_bytes(),
        device_memory_bytes=peak.device_bytes(),
    )
    _keep(task.record_path, record)
    watch(task.event("end", record=record))
    return record


def _provenance(task: Task) -> dict[str, str]:
    """Versions and machine, when and in what folder, and the name of its configuration."""
    ended = datetime.now(UTC).isoformat(timespec="seconds")
    kept = keep_config(task.run, task.config)
    code = code_hash(task.stage.rooms)
    place = {"folder": str(Path.cwd()), "config": kept, "code": code}
    return {**provenance(), "ended": ended, **place}


def _device(task: Task) -> str:
    """The processor in words."""
    if not task.stage.on_device:
        return "cpu"
    # What has computed on a device has loaded torch; the other stages are spared that.
    from viamachinae.score.evaluation import choose_device, device_name

    return device_name(choose_device(task.config.train.device))


def _inherited(upstream: Sequence[Record]) -> Ending | None:
    """How a stage ends without running; None where at least one input stands."""
    if not upstream or any(record.outcome in ("done", "partial") for record in upstream):
        return None
    broken = [record for record in upstream if record.outcome != "no_work"]
    if broken:
        first = broken[0]
        return "upstream_failed", f"{first.stage} ended as {first.outcome}: {first.reason}"
    return "no_work", upstream[0].reason


def _attempt(task: Task, watch: Watcher) -> Ending:
    log = task.record_path.with_suffix(".log")
    try:
        return task.work(lambda done, total: watch(task.event("advance", done=done, total=total)))
    except BadInputError:
        raise
    except UnprocessableError as error:
        return "unprocessable", str(error)
    except ArchiveError as error:
        return "failed", str(error)
    except OSError as error:
        if error.errno in FULL_DISK:
            where = error.filename or "the run folder"
            return "failed", f"no space left on the disk of {where}; free some and run again"
        return "failed", f"{type(error).__name__}: {error}; details in {_logged(log)}"
    except Exception as error:
        # One bad patch never stops the sky: whatever it was is recorded with its traceback.
        first = str(error).partition("\n")[0]
        return "failed", f"{type(error).__name__}: {first}; details in {_logged(log)}"


def _logged(log: Path) -> Path:
    write_text(log, traceback.format_exc())
    return log


def _keep(path: Path, record: Record) -> None:
    try:
        write_record(path, record)
    except OSError as error:
        # Without room for its record a failed stage is simply not done, as a rerun finds.
        if error.errno not in FULL_DISK or record.outcome != "failed":
            raise
