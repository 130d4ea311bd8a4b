"""What a rate of training says about the whole sky, and how far it is from what a device can do."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from viamachinae.bench.shapes import operations
from viamachinae.flows import Architecture
from viamachinae.flows.gpu.shape import shape_of

FLOWS = 28_000
EPOCHS = 50
STARS_OF_PATCH = 1_200_000

# Of a single weight in a step: it and both moments of Adam are read and written.
WEIGHT_BYTES = 6 * 4


class Peaks(NamedTuple):
    """What a device can do: operations a second, and bytes a second to and from its memory."""

    operations: float
    bytes: float


# NVIDIA's data sheet of the H100 SXM: single precision outside the matrix units, and its memory;
# and of those units in tf32, without sparsity.
H100 = Peaks(67e12, 3.35e12)
H100_TF32 = 494.7e12


def updates(flows: int = FLOWS, epochs: int = EPOCHS, stars: int = STARS_OF_PATCH) -> float:
    """Star updates of all flows.

    The two flows of a region, of its stars and of the rest of the patch, share a patch's stars.
    """
    return flows / 2 * epochs * stars


def hours(rate: float) -> float:
    """Hours of one device that trains so many stars a second, for the whole sky."""
    return updates() / rate / 3600


def formula(rate: float) -> str:
    """`hours`, with the way to it."""
    return (
        f"{FLOWS:,} flows / 2 x {EPOCHS} epochs x {STARS_OF_PATCH:,} stars / "
        f"{rate:,.0f} stars/s / 3600 s/h = {hours(rate):.1f} h"
    )


def kernel_operations(architecture: Architecture) -> int:
    """Multiplications and additions in tf32 that the triton engine makes for a star in training.

    Layers are padded and what masks hide is multiplied too; each product is made of three, and
    there are four: forward, forward again on the way back, and for both gradients.
    """
    shape = shape_of(architecture)
    first, last = shape.columns * shape.units, shape.parts * shape.units * shape.raw
    block = first + (shape.layers - 1) * shape.units**2 + last
    return 2 * 3 * 4 * shape.blocks * block


def fastest(architecture: Architecture, batch: int, peaks: Peaks) -> Peaks:
    """Stars a second that neither arithmetic nor memory lets a device exceed, one after the other.

    Arithmetic counts the connections that the masks leave. Memory counts, for each star, its
    numbers and its row number and, for each step of a batch, the weights and Adam's moments.
    """
    weights = sum(
        prod(shape)
        for transform in architecture.transforms()
        for shape in transform.shapes().values()
    )
    own = 4 * (architecture.features + architecture.conditions + 1)
    moved = own + WEIGHT_BYTES * weights / batch
    return Peaks(peaks.operations / operations(architecture, "training"), peaks.bytes / moved)
