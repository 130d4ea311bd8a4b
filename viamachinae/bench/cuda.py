"""Training on a CUDA device: stacks of our engines beside zuko's models one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch

from viamachinae.bench import sky
from viamachinae.bench.engines import OwnEngine
from viamachinae.bench.library import Library, Recipe, missing
from viamachinae.bench.shapes import SHAPES
from viamachinae.bench.stars import draw_stars
from viamachinae.bench.timing import Clocks, Task, take_turns
from viamachinae.bench.zuko import ZUKO
from viamachinae.errors import BadInputError
from viamachinae.flows import Architecture
from viamachinae.flows.engines import EngineName

ENGINES: tuple[EngineName, ...] = ("torch", "triton")
TURNS = 5
# Steps in a call, as in a part of an epoch: what a call costs by itself hardly counts.
STEPS = 256
# A square product and a copy large enough to keep any device busy.
SIDE = 8192


class Trained(NamedTuple):
    """Stars a second that a library trains on a device; why it did not take part, where not."""

    name: str
    rate: float
    reason: str = ""


def cuda_device() -> torch.device:
    """The device.

    Raises
    ------
    BadInputError
        If there is none.
    """
    if not torch.cuda.is_available():
        raise BadInputError("bench: torch finds no CUDA device here; use --device cpu")
    return torch.device("cuda")


def train_on(
    device: torch.device,
    shape: str,
    models: int,
    batch: int,
    seconds: float,
    steps: int = STEPS,
) -> list[Trained]:
    """Rates in training, by the clock: our engines on a stack, and zuko on one model.

    zuko trains one model after the other, so that its rate is that of any number of them.
    """
    architecture = SHAPES[shape]
    libraries: list[tuple[Library, int]] = [
        *((OwnEngine(name, device), models) for name in ENGINES),
        (ZUKO.on(device), 1),
    ]
    reasons = {one.name: missing(one.packages) or one.cannot(architecture) for one, _ in libraries}
    tasks = {
        one.name: _task(one, architecture, count, batch, steps, _waiting(device))
        for one, count in libraries
        if not reasons[one.name]
    }
    rates = take_turns(tasks, TURNS, seconds, clocks=Clocks())
    return [
        Trained(name, rates[name].wall if name in rates else float("nan"), reason)
        for name, reason in reasons.items()
    ]


def peaks_of(device: torch.device, side: int = SIDE) -> sky.Peaks:
    """Measured on a device: a product of matrices in single precision, and a copy of one."""
    one, other = (torch.ones(side, side, device=device) for _ in range(2))
    wait = _waiting(device)

    def product() -> int:
        torch.mm(one, one, out=other)
        wait()
        return 2 * side**3

    def copy() -> int:
        other.copy_(one)
        wait()
        return 2 * 4 * side**2

    rates = take_turns({"product": product, "copy": copy}, TURNS, 0.1)
    return sky.Peaks(rates["product"].wall, rates["copy"].wall)


def report(
    shape: str, models: int, batch: int, trained: list[Trained], peaks: sky.Peaks
) -> Iterator[str]:
    """Lines that say what was measured and what follows for the whole sky."""
    zuko = next((row.rate for row in trained if row.name == ZUKO.name), float("nan"))
    bounds = sky.fastest(SHAPES[shape], batch, peaks)
    yield f"{shape}, {models} models, batch {batch}, training"
    for row in trained:
        if row.reason:
            yield f"  without {row.name}: {row.reason}"
            continue
        yield (
            f"  {row.name}: {row.rate:,.0f} stars/s, {row.rate / zuko:.1f} x zuko one by one; "
            f"{row.rate / bounds.operations:.1%} of what arithmetic allows, "
            f"{row.rate / bounds.bytes:.1%} of what memory allows"
        )
        yield f"    the whole sky: {sky.formula(row.rate)}"
    yield (
        f"  this device, measured: {peaks.operations / 1e12:.1f} TFLOP/s in single precision, "
        f"{peaks.bytes / 1e12:.2f} TB/s"
    )


def _waiting(device: torch.device) -> Callable[[], None]:
    """A call that waits until the device has done its work."""
    return torch.cuda.synchronize if device.type == "cuda" else lambda: None


def _task(
    library: Library,
    architecture: Architecture,
    models: int,
    batch: int,
    steps: int,
    wait: Callable[[], None],
) -> Task:
    stars = draw_stars(steps * batch, seed=0)
    flows = library.flows(architecture, stars, models, Recipe(1e-4, batch), 0)
    drawn = np.random.default_rng(0).integers(len(stars), size=(models, steps, batch))
    order = drawn.astype(np.int32)

    def task() -> int:
        flows.train(order)
        wait()
        return order.size

    return task
