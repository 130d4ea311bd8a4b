"""Telling how far training has come."""

from __future__ import annotations

import time
from collections.abc import Callable

Progress = Callable[[int, int], None]

# Seconds between calls of the callback.
INTERVAL = 0.5


def part(on_step: Progress | None, first: float, last: float) -> Progress | None:
    """The callback for a part of the work, which runs from one share of the whole to another."""
    if on_step is None:
        return None
    return lambda done, total: on_step(round(first * total + (last - first) * done), total)


class Reporter:
    """Counts the steps of single flows and tells the callback now and then.

    Parameters
    ----------
    steps : int
        Steps to do in all.
    batch_size : int
        Stars in a step of one flow: the callback counts star updates.
    on_step : callable or None
        Takes the star updates done and those to do in all.
    """

    def __init__(self, steps: int, batch_size: int, on_step: Progress | None) -> None:
        self.steps, self.batch_size, self.on_step = steps, batch_size, on_step
        self.done = 0
        self.told = time.monotonic()

    def add(self, steps: int) -> None:
        """Count steps, negative ones where work is to be done again."""
        self.done += steps
        now = time.monotonic()
        if now - self.told >= INTERVAL:
            self.told = now
            self.tell()

    def tell(self) -> None:
        """Call the callback now."""
        if self.on_step is not None:
            self.on_step(self.done * self.batch_size, self.steps * self.batch_size)
