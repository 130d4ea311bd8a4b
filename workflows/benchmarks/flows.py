"""Stars a second of each flow engine, on one CPU core: training, densities and samples.

Run as ``python workflows/benchmarks/flows.py [--out FOLDER] [--repeats N]``. The engines take turns
in one process with one thread, on the same stars in the same order; figures are medians over the
turns. Time is that of the process, so that neighbours on the machine disturb less. The last
column is the share of what the core can multiply and add, from a loop in registers that takes
turns too: it counts only the connections of the masks (2 operations each for a density or a
sample, 6 for a training step).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from viamachinae.flows import NATIVE, TORCH, Architecture, Engine, FitOptions
from viamachinae.flows.kernel import built_variants, library
from viamachinae.flows.lanes import ModelState
from viamachinae.flows.optimiser import AdamState

SHAPES = {
    "8 x 64 x 2": Architecture(5, 1, 8, (64, 64)),
    "15 x 128": Architecture(5, 1, 15, (128,)),
    "15 x 128, batch norm": Architecture(5, 1, 15, (128,), batch_norm=True),
    "6 x 48": Architecture(5, 1, 6, (48,)),
}
BATCHES = (256, 512)
STACKS = (1, 16)
ENGINES = [TORCH, NATIVE] if built_variants() else [TORCH]
N_STARS = 100_000
# Stars of each model in one evaluation of densities, and in one sample.
EVALUATED = 16_384
# An engine's turn lasts at least so long.
TURN_SECONDS = 0.2
PEAK_ROUNDS = 4_000_000

Work = Callable[[], int]


def training(engine: Engine, architecture: Architecture, models: int, batch: int) -> Work:
    """A step of every model; returns its number of stars."""
    stars = torch.randn(N_STARS, 6, generator=torch.Generator().manual_seed(0))
    options = FitOptions(1e-4, 1e-6, batch, epochs=1, average_last=1, stack_size=models)
    stacks = [engine.stack.draw(architecture, [np.random.default_rng(k)]) for k in range(models)]
    states = [ModelState(stack, AdamState.fresh(stack.weights)) for stack in stacks]
    lanes = engine.lanes(stars, options, states, N_STARS)
    for lane in range(models):
        order = np.random.default_rng(lane).permutation(N_STARS).astype(np.int32)
        lanes.begin_epoch(lane, order)

    def work() -> int:
        lanes.step()
        return models * batch

    return work


def evaluation(engine: Engine, architecture: Architecture, models: int, kind: str) -> Work:
    """Densities or samples of every model; returns the number of stars."""
    generators = [np.random.default_rng(k) for k in range(models)]
    stack = engine.stack.draw(architecture, generators).eval()
    noise = torch.Generator().manual_seed(0)
    n = max(1024, EVALUATED // models)
    x = torch.randn(models, n, 5, generator=noise)
    condition = torch.randn(models, n, 1, generator=noise)

    @torch.no_grad()
    def work() -> int:
        if kind == "log_prob":
            stack.log_prob(x, condition)
        else:
            stack.sample(n, condition, generator=noise)
        return models * n

    return work


def rate(work: Work) -> float:
    """Stars a second in one turn."""
    stars, start = 0, time.process_time()
    while (taken := time.process_time() - start) < TURN_SECONDS:
        stars += work()
    return stars / taken


def peak() -> float:
    """Operations a second of the ruler; NaN where no kernel is built."""
    ruler = library()
    if ruler is None:
        return float("nan")
    start = time.process_time()
    operations: float = ruler.maf_peak(PEAK_ROUNDS)
    return operations / (time.process_time() - start)


def compare(works: dict[str, Work], repeats: int) -> tuple[dict[str, float], float]:
    """Medians of the engines' rates and of the ruler's, turn by turn."""
    rates: dict[str, list[float]] = {name: [] for name in works}
    peaks = []
    for work in works.values():
        work()
    for _ in range(repeats):
        peaks.append(peak())
        for name, work in works.items():
            rates[name].append(rate(work))
    return {name: median(values) for name, values in rates.items()}, median(peaks)


def measure(repeats: int) -> list[dict[str, Any]]:
    """One row a shape, kind of work, stack and batch."""
    rows = []
    for shape, architecture in SHAPES.items():
        connections = float(TORCH.stack.draw(architecture, [np.random.default_rng(0)]).mask.sum())
        cases = [("training", k, b) for k in STACKS for b in BATCHES]
        cases += [(kind, k, 0) for kind in ("log_prob", "sampling") for k in STACKS]
        for kind, models, batch in cases:
            works = {
                engine.name: training(engine, architecture, models, batch)
                if batch
                else evaluation(engine, architecture, models, kind)
                for engine in ENGINES
            }
            rates, ruler = compare(works, repeats)
            operations = connections * (6 if batch else 2)
            row = {"shape": shape, "kind": kind, "models": models, "batch": batch, **rates}
            row["share"] = operations * rates.get("native", rates["torch"]) / ruler
            row["gflops"] = ruler / 1e9
            rows.append(row)
            print(line(row), flush=True)
    return rows


HEADER = (
    "| shape | work | models | batch | torch | native | ratio | share of peak |\n"
    + "|---" * 8
    + "|"
)


def line(row: dict[str, Any]) -> str:
    """A row of the table, in thousands of stars a second."""
    native = row.get("native", float("nan"))
    return (
        f"| {row['shape']} | {row['kind']} | {row['models']} | {row['batch'] or ''} | "
        f"{row['torch'] / 1e3:.0f} | {native / 1e3:.0f} | {native / row['torch']:.1f} | "
        f"{row['share']:.0%} of {row['gflops']:.0f} GFLOP/s |"
    )


def main() -> None:
    """Measure, print a table in thousands of stars a second, and keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="folder for flows.json and flows.md")
    parser.add_argument("--repeats", type=int, default=7, help="turns of each engine")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(HEADER)
    rows = measure(given.repeats)
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "flows.json").write_text(json.dumps(rows, indent=1))
        (given.out / "flows.md").write_text("\n".join([HEADER, *map(line, rows)]) + "\n")


if __name__ == "__main__":
    main()
