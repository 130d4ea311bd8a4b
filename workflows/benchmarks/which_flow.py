"""Nats from a known density against cost, for flows of every family and size.

    python workflows/benchmarks/which_flow.py OUT [--quick] [--stars N]
    python workflows/benchmarks/which_flow.py OUT --time
    python workflows/benchmarks/which_flow.py OUT --write [--stars N]

The first fits: a flow's recipe (batch, learning rate, schedule) is chosen on seed 0, and what
that recipe gives is reported on seeds 1 to 3, each with fresh stars. Every fit becomes a line of
OUT/fits.jsonl, and none that is there is made again. The second measures the CPU time of
training, in OUT/times.jsonl. The third writes OUT/which_flow.md and OUT/which_flow.png.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from which_flow_grid import GRID, QUICK, Entry, Recipe
from which_flow_table import (
    CHOOSE,
    REPORT,
    TRUTHS,
    Record,
    choose,
    described,
    identity,
    read,
    write,
)
from which_flow_times import measure
from which_flow_truths import Clumps, Stars, Truth

from viamachinae import flows
from viamachinae.flows import Architecture, FlowStack, Rows, Task

CPU = torch.device("cpu")
HELD_OUT = 0.2
LEAK_DRAWS = 5000


class Sample(NamedTuple):
    """Stars as a flow is given them, and what is true of those held out."""

    train: torch.Tensor
    held_out: torch.Tensor
    log_det: NDArray[np.float64]
    true: NDArray[np.float64]
    scaling: flows.Scaling
    truth: Truth


class Bench:
    """The fits of one folder.

    Parameters
    ----------
    folder : Path
        Made where it is absent.
    n_stars : int
        Of a sample, of which `HELD_OUT` are held out.
    """

    def __init__(self, folder: Path, n_stars: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file, self.n_stars = folder / "fits.jsonl", n_stars
        self.truths: dict[str, Truth] = {"stars": Stars(folder / "mixture.npz"), "clumps": Clumps()}
        self.sample = cache(self._sample)

    def run(self, grid: Sequence[Entry]) -> None:
        """Make the fits that are not there yet: those that choose, then those to report."""
        for entry in grid:
            if len(entry.recipes) > 1:
                for recipe in entry.recipes:
                    self._complete(entry, recipe, CHOOSE)
        for entry in grid:
            self._complete(entry, choose(entry, read(self.file), self.n_stars), REPORT)

    def _complete(self, entry: Entry, recipe: Recipe, seeds: Sequence[int]) -> None:
        made = {identity(record) for record in read(self.file)}
        wanted: list[Record] = [
            {**described(entry, recipe), "stars": self.n_stars, "truth": truth, "seed": seed}
            for truth in TRUTHS
            for seed in seeds
        ]
        wanted = [record for record in wanted if identity(record) not in made]
        if not wanted:
            return
        start = time.process_time()
        found = self._fit(entry, recipe, wanted)
        cpu_s = (time.process_time() - start) / len(wanted)
        with self.file.open("a") as file:
            for record, numbers in zip(wanted, found, strict=True):
                line = {**record, **numbers, "cpu_s": cpu_s}
                file.write(json.dumps(line) + "\n")
                print(summary(entry, line), flush=True)

    def _fit(self, entry: Entry, recipe: Recipe, wanted: Sequence[Record]) -> list[Record]:
        """Flows on samples of their own, trained as one stack."""
        samples = [self.sample(record["truth"], record["seed"]) for record in wanted]
        train, held_out = (
            [getattr(sample, name) for sample in samples] for name in ("train", "held_out")
        )
        slices = zip(in_turn(train), in_turn(held_out), strict=True)
        times = entry.trainings
        tasks = [
            Task(*rows, np.random.SeedSequence([record["seed"], 17, *[again] * (again > 0)]))
            for record, rows in zip(wanted, slices, strict=True)
            for again in range(times)
        ]
        engine = flows.choose_engine("auto", entry.shape, CPU)
        stars = flows.Stars(torch.cat(train), torch.cat(held_out))
        fitted = flows.fit(entry.shape, stars, tasks, recipe.options(entry.epochs), engine=engine)
        return [
            {
                **judged(fitted, range(first, first + times), engine.stack, entry.shape, sample),
                "engine": engine.name,
            }
            for first, sample in zip(range(0, len(tasks), times), samples, strict=True)
        ]

    def _sample(self, truth: str, seed: int) -> Sample:
        """Drawn afresh, and scaled as in `viamachinae.score.densities`."""
        rng = np.random.default_rng([seed, TRUTHS.index(truth)])
        density = self.truths[truth]
        x, c = density.draw(self.n_stars, rng)
        held_out = rng.random(len(x)) < HELD_OUT
        scaling = flows.Scaling.fit(x)
        z, log_det = scaling.forward(x)
        given = flows.Standardisation.fit(c[:, None]).forward(c[:, None])
        rows = torch.from_numpy(np.hstack([z, given]).astype(np.float32))
        true = density.log_prob(x[held_out], c[held_out])
        return Sample(rows[~held_out], rows[held_out], log_det[held_out], true, scaling, density)


def in_turn(parts: Sequence[torch.Tensor]) -> list[Rows]:
    """Where each of some tensors lies after they are joined."""
    ends = np.cumsum([0, *map(len, parts)]).tolist()
    return [Rows(start, stop) for start, stop in pairwise(ends)]


def judged(
    fitted: flows.Fit, own: range, kind: type[FlowStack], shape: Architecture, sample: Sample
) -> Record:
    """Nats from the truth over the stars held out, their standard error, and the worst spike.

    Those of the mean of the densities of its `own` flows.
    """
    weights, statistics = (
        numbers[own.start : own.stop].flatten(0, 1)
        for numbers in (fitted.weights, fitted.statistics)
    )
    stack = kind(shape, weights, statistics).eval()
    d = shape.features
    learned = stack.average_log_prob(sample.held_out[:, :d], sample.held_out[:, d:]).numpy()
    gap = sample.true - learned - sample.log_det
    records = [record for record in fitted.history if record.flow in own]
    return {
        "nats": float(gap.mean()),
        "error": float(gap.std() / np.sqrt(len(gap))),
        "leak": leak(stack, sample),
        "spike": max(spike(records, flow) for flow in own),
        "retries": sum(record.outcome != "done" for record in records),
    }


def spike(records: Sequence[flows.EpochRecord], flow: int) -> float:
    """How far an epoch's held-out likelihood fell at most below that of the best before it."""
    done = [r.held_out for r in records if r.flow == flow and r.outcome == "done"]
    return float((np.maximum.accumulate(done) - done).max(initial=0))


def leak(stack: FlowStack, sample: Sample) -> float:
    """Share of what is learned that lies where the true density is zero, from draws."""
    given = sample.held_out[:LEAK_DRAWS, stack.architecture.features :]
    drawn = stack.sample(
        len(given),
        given.expand(stack.n_models, -1, -1),
        generator=torch.Generator().manual_seed(0),
    )
    x = sample.scaling.inverse(drawn.flatten(0, 1).numpy())
    return 1 - float(sample.truth.possible(x).mean())


def summary(entry: Entry, record: dict[str, Any]) -> str:
    """A fit in a line."""
    return (
        f"{entry.name}, {entry.epochs} epochs, batch {record['batch']}, {record['schedule']} "
        f"{record['rate']:g} | {record['truth']} {record['seed']} | {record['nats']:.4f} "
        f"± {record['error']:.4f} nats, leak {record['leak']:.3f}, spike {record['spike']:.3g}, "
        f"{record['cpu_s']:.1f} CPU s"
    )


def main() -> None:
    """Fit, time or write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the fits")
    parser.add_argument("--quick", action="store_true", help="three small flows, few stars")
    parser.add_argument("--stars", type=int, default=75_000, help="of a sample")
    work = parser.add_mutually_exclusive_group()
    work.add_argument("--time", action="store_true", help="measure CPU time instead of fitting")
    work.add_argument("--write", action="store_true", help="write table and figure")
    given = parser.parse_args()
    torch.set_num_threads(1)
    grid, stars = (QUICK, 15_000) if given.quick else (GRID, given.stars)
    if given.time:
        measure(grid, given.out / "times.jsonl")
    elif given.write:
        write(grid, given.out, stars)
    else:
        Bench(given.out, stars).run(grid)


if __name__ == "__main__":
    main()
