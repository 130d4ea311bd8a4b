"""Rates of several kinds of work that take turns, so that all meet the same machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import NamedTuple

from viamachinae.flows.variants import library

PEAK_ROUNDS = 4_000_000

# Does some work, and returns how much: stars, or operations.
Task = Callable[[], int]


class Rate(NamedTuple):
    """Work done in a second of this process's time on its core, and in one of the clock's."""

    cpu: float
    wall: float


class Clocks(NamedTuple):
    """Seconds of this process, and of the clock."""

    cpu: Callable[[], float] = time.process_time
    wall: Callable[[], float] = time.perf_counter


def take_turns(
    tasks: Mapping[str, Task],
    turns: int,
    seconds: float,
    *,
    clocks: Clocks | None = None,
    before_turn: Callable[[], object] = lambda: None,
) -> dict[str, Rate]:
    """Medians of the rates of all tasks, by name.

    Each is done once before, for compilers and caches; then they take turns.

    Parameters
    ----------
    tasks : mapping of callables
    turns : int
        Of each task.
    seconds : float
        A turn lasts at least so long.
    clocks : Clocks, optional
    before_turn : callable, optional
        Called before each turn, so that several processes begin it together.
    """
    clocks = clocks or Clocks()
    for task in tasks.values():
        task()
    rates: dict[str, list[Rate]] = {name: [] for name in tasks}
    for _ in range(turns):
        for name, task in tasks.items():
            before_turn()
            rates[name].append(_turn(task, seconds, clocks))
    return {
        name: Rate(median(r.cpu for r in taken), median(r.wall for r in taken))
        for name, taken in rates.items()
    }


def peak() -> int:
    """Operations of a loop in registers, multiplications and additions; 0 without a kernel."""
    ruler = library()
    return 0 if ruler is None else int(ruler.flow_peak(PEAK_ROUNDS))


def _turn(task: Task, seconds: float, clocks: Clocks) -> Rate:
    done, cpu, wall = 0, clocks.cpu(), clocks.wall()
    while (taken := clocks.wall() - wall) < seconds or not done:
        done += task()
    return Rate(done / (clocks.cpu() - cpu), done / taken)
