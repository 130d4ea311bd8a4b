"""What a running scan looks like: bars on a terminal, lines in a file, or JSON."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from viamachinae.pipeline.events import Event, Watcher, unwatched
from viamachinae.pipeline.stopping import listen

_WORDS = {
    "preprocess": "taking stars",
    "train": "learning densities",
    "score": "scoring stars",
    "lines": "finding lines",
    "link": "linking patches",
    "inspect": "drawing the report",
}


class JsonLines(logging.Handler):
    """Writes log records and events as one JSON object a line to standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a log record."""
        _write_json(record.levelname.lower(), message=record.getMessage())

    @staticmethod
    def watch(event: Event) -> None:
        """Write an event."""
        _write_json("info", **asdict(event))


def _write_json(level: str, **content: object) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    sys.stderr.write(json.dumps({"time": now, "level": level, **content}) + "\n")


class _Once(logging.Filter):
    """Lets a message pass once: what is true of a file is true for every patch."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        new = message not in self.seen
        self.seen.add(message)
        return new


class Bars:
    """One bar for the scan and one for each patch at work."""

    def __init__(self, progress: Progress, n_patches: int) -> None:
        self.progress = progress
        self.patches = progress.add_task("patches", total=n_patches) if n_patches else None
        self.tasks: dict[str | None, TaskID] = {}

    def watch(self, event: Event) -> None:
        """Show an event."""
        if event.kind == "start":
            self._show(event, total=None)
        elif event.kind == "advance":
            self._show(event, total=event.total)
        else:
            self._end(event)

    def _show(self, event: Event, total: float | None) -> None:
        words = _WORDS.get(event.stage, event.stage)
        label = " ".join(filter(None, (event.patch, words, event.scan)))
        task = self.tasks.get(event.patch)
        if task is None:
            task = self.tasks[event.patch] = self.progress.add_task(label, total=total)
        if self.progress.tasks[self.progress.task_ids.index(task)].description != label:
            self.progress.reset(task, total=total, description=label)
        self.progress.update(task, completed=event.done, total=total)

    def _end(self, event: Event) -> None:
        if event.outcome not in ("done", "no_work"):
            where = " ".join(filter(None, (event.patch, event.scan, event.stage)))
            self.progress.console.print(f"{where}: {event.outcome}: {event.reason}", markup=False)
        if event.stage in ("lines", "link", "inspect"):
            task = self.tasks.pop(event.patch, None)
            if task is not None:
                self.progress.remove_task(task)
            if self.patches is not None and event.stage == "lines":
                self.progress.advance(self.patches)


@contextmanager
def watching(n_patches: int, quiet: bool, log_json: bool) -> Iterator[Watcher]:
    """Show progress and log messages while the block runs.

    Ctrl-C ends the command with exit code 130 and one sentence, SIGTERM with 75.
    """
    listen()
    logger = logging.getLogger("viamachinae")
    console = Console(stderr=True)
    handler = JsonLines() if log_json else RichHandler(console=console, show_path=False)
    handler.addFilter(_Once())
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR if quiet else logging.INFO)
    try:
        if log_json:
            yield JsonLines.watch
        elif quiet:
            yield unwatched
        else:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f}%"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
            )
            with Progress(*columns, console=console, transient=True) as progress:
                yield Bars(progress, n_patches).watch
    except KeyboardInterrupt:
        console.print("viamachinae: stopped; the same command goes on from here")
        raise typer.Exit(130) from None
    finally:
        logger.removeHandler(handler)
