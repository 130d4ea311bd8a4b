"""What a running scan tells whoever watches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from viamachinae.store.records import Outcome


@dataclass(frozen=True)
class Event:
    """A stage that starts, goes on or ends.

    Attributes
    ----------
    kind : str
        ``start``, ``advance``, ``end``, or ``skip`` for a stage that was up to date.
    stage, patch, scan : str
        What it is about.
    done, total : float
        Work done and in all, in units of the stage's own.
    outcome, reason, seconds
        How it ended; only with ``end`` and ``skip``.
    """

    kind: Literal["start", "advance", "end", "skip"]
    stage: str
    patch: str | None = None
    scan: str | None = None
    done: float = 0.0
    total: float = 0.0
    outcome: Outcome | None = None
    reason: str = ""
    seconds: float = 0.0


Watcher = Callable[[Event], None]


def unwatched(event: Event) -> None:
    """Watch nothing."""
