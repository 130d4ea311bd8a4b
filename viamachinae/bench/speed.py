"""Stars a second of every library, for one shape, kind of work and batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from viamachinae.bench.libraries import LIBRARIES, who_can
from viamachinae.bench.library import Flows, Recipe
from viamachinae.bench.shapes import SHAPES, Work, operations
from viamachinae.bench.stars import draw_stars
from viamachinae.bench.timing import Rate, Task, peak, take_turns

N_STARS = 20_000
# Stars of a model in one call that trains: several steps, so that a compiled scan has a length.
TRAINED = 4096
TURNS = 5
RULER = "ruler"


@dataclass(frozen=True)
class Case:
    """What is timed in turn: all libraries, on stacks of one model or more."""

    shape: str
    work: Work
    batch: int
    stacks: tuple[int, ...]


class Speed(NamedTuple):
    """A library's best arrangement in one cell of the table.

    Attributes
    ----------
    shape, work, batch, stack : str, str, int, int
    library : str
    group : int
        Models that it worked on at once.
    cpu, wall : float
        Stars a second, of process time and by the clock, of all workers together.
    share : float
        Of the cores' measured peak, counting the connections of the masks; NaN without a ruler.
    """

    shape: str
    work: str
    batch: int
    stack: int
    library: str
    group: int
    cpu: float
    wall: float
    share: float


def measure(
    case: Case, seconds: float, before_turn: Callable[[], object] = lambda: None
) -> dict[str, Rate]:
    """Rates by library and group, as in ``torch/8``, and the ruler's in operations a second."""
    tasks: dict[str, Task] = {}
    for library in who_can(SHAPES[case.shape])[0]:
        for group in _groups(library.name, case):
            tasks[f"{library.name}/{group}"] = _task(library.name, group, case)
    if peak():
        tasks[RULER] = peak
    return take_turns(tasks, TURNS, seconds, before_turn=before_turn)


def best(case: Case, of_workers: list[dict[str, Rate]]) -> list[Speed]:
    """A row for each stack and library: the sum over all workers of the fastest arrangement."""
    totals = {
        name: Rate(sum(r[name].cpu for r in of_workers), sum(r[name].wall for r in of_workers))
        for name in of_workers[0]
    }
    ruler = totals.pop(RULER, Rate(np.nan, np.nan)).cpu
    needed = operations(SHAPES[case.shape], case.work)
    speeds = []
    for stack in case.stacks:
        for name in dict.fromkeys(key.split("/")[0] for key in totals):
            groups = LIBRARIES[name].groups(SHAPES[case.shape], stack, case.batch)
            group = max(groups, key=lambda g: totals[f"{name}/{g}"].cpu)
            rate = totals[f"{name}/{group}"]
            place = (case.shape, case.work, case.batch, stack, name, group)
            speeds.append(Speed(*place, rate.cpu, rate.wall, needed * rate.cpu / ruler))
    return speeds


def _groups(name: str, case: Case) -> list[int]:
    library = LIBRARIES[name]
    ways = (library.groups(SHAPES[case.shape], stack, case.batch) for stack in case.stacks)
    return sorted({group for way in ways for group in way})


def _task(name: str, group: int, case: Case) -> Task:
    stars = draw_stars(N_STARS, seed=0)
    recipe = Recipe(1e-4, case.batch)
    flows: Flows = LIBRARIES[name].flows(SHAPES[case.shape], stars, group, recipe, 0)
    steps = max(1, TRAINED // case.batch)
    generator = np.random.default_rng(0)
    order = generator.integers(N_STARS, size=(group, steps, case.batch), dtype=np.int32)
    rows = stars[order[:, 0]]
    condition = np.ascontiguousarray(rows[..., SHAPES[case.shape].features :])
    works: dict[Work, Callable[[], object]] = {
        "training": lambda: flows.train(order),
        "log_prob": lambda: flows.log_prob(rows),
        "sampling": lambda: flows.sample(condition),
    }
    work = works[case.work]
    done = group * case.batch * (steps if case.work == "training" else 1)

    def task() -> int:
        work()
        return done

    return task
