"""The CPU time that training takes a star, on one core."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from which_flow_grid import Entry

from viamachinae import flows
from viamachinae.flows import Architecture, FitOptions, Rows, Task

CPU = torch.device("cpu")
# Stars of each flow in a turn, and turns of each shape.
STARS, TURNS = 16_384, 5


def measure(grid: Iterable[Entry], file: Path) -> None:
    """Write medians over turns, which the shapes take one after another.

    A turn is one epoch of `flows.fit`, with a tenth of the stars held out, of as many flows at
    once as a scan trains together. Time is that of the process.
    """
    cases = dict.fromkeys((entry.shape, r.batch) for entry in grid for r in entry.recipes)
    turns = [{case: turn(*case) for case in cases} for _ in range(TURNS + 1)]
    with file.open("w") as out:
        for shape, batch in cases:
            # The first turn warms up.
            seconds = median(found[shape, batch] for found in turns[1:])
            engine = flows.choose_engine("auto", shape, CPU).name
            line = {"shape": shape.to_dict(), "batch": batch, "engine": engine}
            out.write(json.dumps({**line, "seconds_a_star": seconds}) + "\n")


def turn(shape: Architecture, batch: int) -> float:
    """CPU seconds for a star of one flow and one epoch."""
    engine = flows.choose_engine("auto", shape, CPU)
    options = FitOptions(1e-4, 1e-6, batch, epochs=1, average_last=1, stack_size=64)
    width = engine.lanes.width(options, CPU)
    noise = torch.Generator().manual_seed(0)
    rows = torch.randn(STARS, shape.features + shape.conditions, generator=noise)
    stars = flows.Stars(rows, rows[: STARS // 10])
    whole = Rows(0, STARS), Rows(0, STARS // 10)
    tasks = [Task(*whole, np.random.SeedSequence(lane)) for lane in range(width)]
    start = time.process_time()
    flows.fit(shape, stars, tasks, options, engine=engine)
    return (time.process_time() - start) / (STARS * width)
