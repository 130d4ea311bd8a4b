"""The speed of the flow engines beside zuko, nflows, normflows and FlowJAX, for docs/speed.md.

Run as ``python workflows/benchmarks/flows.py [--shape SHAPE ...] [--out docs] [--resume]``, with
the peers that ``workflows/benchmarks/requirements.txt`` names. It uses every core, one process
each, and writes ``speed.md``, ``speed.json`` and ``figures/speed.png`` after each step; with
``--resume`` it goes on where an earlier run on the same machine was ended. On a CUDA device,
``viamachinae bench --device cuda`` times training and says what follows for the whole sky.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from viamachinae.bench.run import LIKELIHOOD, Selection, bench
from viamachinae.bench.shapes import BATCHES, SHAPES, STACKS, WORKS
from viamachinae.bench.table import likelihood_table, rate_table
from viamachinae.bench.workers import cores


def main() -> None:
    """Measure the grid, and print each step's table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", action="append", choices=SHAPES, help="all by default")
    parser.add_argument("--work", action="append", choices=[*WORKS, LIKELIHOOD])
    parser.add_argument("--batch", action="append", type=int)
    parser.add_argument("--stack", action="append", type=int)
    parser.add_argument("--seconds", type=float, default=0.1, help="length of a turn")
    parser.add_argument("--workers", type=int, default=len(cores()))
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--resume", action="store_true")
    given = parser.parse_args()
    selection = Selection(
        given.shape or tuple(SHAPES),
        given.work or (*WORKS, LIKELIHOOD),
        given.batch or BATCHES,
        given.stack or STACKS,
        given.seconds,
        given.workers,
    )
    bench(
        selection,
        given.out,
        resume=given.resume,
        on_speeds=lambda found: print(rate_table(found), flush=True),
        on_likelihood=lambda found: print(likelihood_table([found]), flush=True),
    )


if __name__ == "__main__":
    main()
