"""SIGTERM: what can be saved is saved, and the process ends so that it can be queued again.

A scheduler sends it shortly before the time limit. Training saves a checkpoint first; all else
ends at once, for stages leave either whole files or none.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

# EX_TEMPFAIL of sysexits.h: the same command goes on from here.
REQUEUE = 75


@dataclass
class _Stop:
    """Whether the process was asked to end, and whether it first wants to save its work."""

    asked: bool = False
    soft: bool = False


_stop = _Stop()


def listen() -> None:
    """Answer SIGTERM in this process; only its main thread may call this."""
    signal.signal(signal.SIGTERM, _answer)


def _answer(_signal: int, _frame: FrameType | None) -> None:
    _stop.asked = True
    if not _stop.soft:
        raise SystemExit(REQUEUE)


@contextmanager
def softly() -> Iterator[None]:
    """Let SIGTERM wait while the block runs, which ends the process itself if `asked`."""
    _stop.soft = True
    try:
        yield
    finally:
        _stop.soft = False
    end_if_asked()


def asked() -> bool:
    """Whether the process was asked to end."""
    return _stop.asked


def end_if_asked() -> None:
    """End the process if it was asked to."""
    if _stop.asked:
        raise SystemExit(REQUEUE)
