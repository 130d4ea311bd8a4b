"""A whole run of the benchmark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import get_args

from viamachinae.bench.libraries import who_can
from viamachinae.bench.likelihood import Likelihood, held_out
from viamachinae.bench.page import write_page
from viamachinae.bench.record import Record, this_machine
from viamachinae.bench.shapes import BATCHES, SHAPES, STACKS, WORKS, Work
from viamachinae.bench.speed import Case, Speed, best
from viamachinae.bench.workers import cores, each, pinned_workers, together
from viamachinae.errors import BadInputError

LIKELIHOOD = "likelihood"


@dataclass(frozen=True)
class Selection:
    """What to measure: all combinations of these.

    Attributes
    ----------
    shapes, works : sequence of str
        Of `SHAPES`; of `WORKS`, and ``likelihood``.
    batches, stacks : sequence of int
    seconds : float
        A turn lasts at least so long.
    workers : int
        Cores at work at once.

    Raises
    ------
    BadInputError
        If one of them cannot be.
    """

    shapes: Sequence[str] = tuple(SHAPES)
    works: Sequence[str] = (*WORKS, LIKELIHOOD)
    batches: Sequence[int] = BATCHES
    stacks: Sequence[int] = STACKS
    seconds: float = 0.15
    workers: int = 1

    def __post_init__(self) -> None:
        for name, known in (("shapes", tuple(SHAPES)), ("works", (*WORKS, LIKELIHOOD))):
            unknown = [given for given in getattr(self, name) if given not in known]
            if unknown:
                raise BadInputError(
                    f"bench: {unknown[0]} is none of the {name}; give one of {', '.join(known)}"
                )
        empty = [f.name for f in fields(self) if getattr(self, f.name) in ((), [])]
        if empty:
            raise BadInputError(f"bench: no {empty[0]} were given; give one or more")
        if min(*self.batches, *self.stacks, 1) < 1 or not 0 < self.seconds <= 60:
            raise BadInputError(
                "bench: a batch and a stack hold one or more, and a turn lasts up to 60 seconds"
            )
        if not 1 <= self.workers <= len(cores()):
            raise BadInputError(
                f"bench: {self.workers} workers need as many cores and {len(cores())} are free "
                "to use; give no more than that"
            )

    def cases(self) -> Iterator[Case]:
        """What is timed, one after the other."""
        for shape in self.shapes:
            for work in _timed(self.works):
                for batch in self.batches:
                    yield Case(shape, work, batch, tuple(self.stacks))


def bench(
    selection: Selection,
    folder: Path | None = None,
    *,
    resume: bool = False,
    on_speeds: Callable[[list[Speed]], None] = lambda _: None,
    on_likelihood: Callable[[Likelihood], None] = lambda _: None,
) -> Record:
    """Measure what was selected.

    Parameters
    ----------
    selection : Selection
    folder : Path, optional
        Where numbers, page and figure are written after every step, and where those of the same
        machine and packages from earlier runs are kept.
    resume : bool, optional
        Whether to leave out what the folder has already.
    on_speeds, on_likelihood : callable, optional
        Called with each finding.
    """
    record = Record.open(folder, this_machine(selection.workers))
    for shape in selection.shapes:
        record.absent[shape] = who_can(SHAPES[shape])[1]
    with pinned_workers(selection.workers) as workers:
        for case in selection.cases():
            if resume and record.has(case):
                continue
            found = best(case, together(workers, case, selection.seconds))
            record.add(found)
            _keep(record, folder)
            on_speeds(found)
        if LIKELIHOOD in selection.works:
            done = {row[:2] for row in record.likelihoods} if resume else set()
            wanted = [
                (shape, library.name)
                for shape in selection.shapes
                for library in who_can(SHAPES[shape])[0]
                if (shape, library.name) not in done
            ]
            for likelihood in each(workers, held_out, wanted):
                record.add_likelihood(likelihood)
                _keep(record, folder)
                on_likelihood(likelihood)
    return record


def _timed(works: Sequence[str]) -> list[Work]:
    return [work for work in get_args(Work) if work in works]


def _keep(record: Record, folder: Path | None) -> None:
    if folder is not None:
        record.save(folder)
        write_page(record, folder)
