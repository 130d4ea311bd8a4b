"""The flows that which_flow.py compares: shapes, and the recipes that each may choose from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from viamachinae.flows import Architecture, FitOptions, RationalQuadratic

NO_CLIP = 1e9


def maf(blocks: int, *hidden: int, norm: bool = False) -> Architecture:
    """Affine, autoregressive."""
    return Architecture(5, 1, blocks, hidden, norm)


def rqs(
    blocks: int, *hidden: int, bins: int = 8, affine: bool = True, coupling: bool = False
) -> Architecture:
    """Rational-quadratic splines."""
    family: Literal["rqs_coupling", "rqs_autoregressive"] = (
        "rqs_coupling" if coupling else "rqs_autoregressive"
    )
    spline = RationalQuadratic(bins)
    return Architecture(5, 1, blocks, hidden, family=family, spline=spline, affine_first=affine)


@dataclass(frozen=True)
class Recipe:
    """How a flow is fitted, apart from the number of epochs."""

    batch: int
    rate: float
    schedule: Literal["constant", "cosine"]
    clip: float = 1.0

    def options(self, epochs: int) -> FitOptions:
        """A constant rate goes with the mean of up to 10 last epochs, as ANODE's; a cosine ends."""
        average = min(10, epochs // 2) if self.schedule == "constant" else 1
        return FitOptions(
            self.rate, 1e-6, self.batch, epochs, average, 64, self.clip, self.schedule
        )


def cosine(batch: int, *rates: float, clip: float = 1.0) -> list[Recipe]:
    """Recipes whose rate falls to zero."""
    return [Recipe(batch, rate, "cosine", clip) for rate in rates]


def constant(batch: int, *rates: float, clip: float = 1.0) -> list[Recipe]:
    """Recipes whose rate stays."""
    return [Recipe(batch, rate, "constant", clip) for rate in rates]


class Entry(NamedTuple):
    """A line of the table: a shape and a number of epochs, and the recipes it may choose from.

    Of several `trainings` of the same stars, from other weights and in another order, the
    densities are averaged.
    """

    name: str
    shape: Architecture
    epochs: int
    recipes: list[Recipe]
    trainings: int = 1


ANODE, ANODE_RAW = maf(15, 128, norm=True), maf(15, 128)
TWO = rqs(2, 64, 64)
# What helped one of these shapes helps the others: their choice is smaller.
USUAL = cosine(512, 3e-3, 6e-3)
GRID = [
    Entry("RQS+affine 2 × 64²", TWO, 12, [*cosine(512, 3e-3, 6e-3, 1e-2), *cosine(256, 3e-3)]),
    Entry(
        "MAF 15 × 128 norm",
        ANODE,
        20,
        [*cosine(256, 1e-3, 3e-3), *cosine(512, 1e-3, 3e-3, 6e-3), *constant(256, 3e-4, 1e-3)],
    ),
    Entry("MAF 8 × 64²", maf(8, 64, 64), 12, [*cosine(512, 3e-3, 6e-3), *cosine(256, 3e-3)]),
    Entry("MAF 15 × 128", ANODE_RAW, 20, [*cosine(256, 1e-3, 3e-3), *cosine(512, 3e-3)]),
    Entry("MAF 6 × 48", maf(6, 48), 12, [*cosine(256, 3e-3, 6e-3), *constant(256, 5e-3)]),
    Entry("RQS+affine 1 × 64²", rqs(1, 64, 64), 12, USUAL),
    Entry("RQS+affine 3 × 64²", rqs(3, 64, 64), 12, USUAL),
    Entry("RQS 3 × 64²", rqs(3, 64, 64, affine=False), 12, USUAL),
    Entry("RQS coupling 6 × 64²", rqs(6, 64, 64, affine=False, coupling=True), 12, USUAL),
    Entry(
        "affine coupling 8 × 64²",
        Architecture(5, 1, 8, (64, 64), family="affine_coupling"),
        12,
        USUAL,
    ),
    Entry(
        "MAF 15 × 128 norm",
        ANODE,
        50,
        [*cosine(256, 1e-3, 3e-3), *cosine(512, 3e-3), *constant(256, 3e-4, 1e-3)],
    ),
    Entry("ANODE as published", ANODE, 50, constant(256, 1e-4)),
    Entry("MAF 15 × 128, constant 1e-3", ANODE_RAW, 20, constant(256, 1e-3)),
    Entry("the same, not clipped", ANODE_RAW, 20, constant(256, 1e-3, clip=NO_CLIP)),
    Entry("RQS+affine 2 × 64², 6 epochs", TWO, 6, USUAL),
    Entry("RQS+affine 2 × 64², 24 epochs", TWO, 24, USUAL),
    Entry("RQS+affine 2 × 64², constant", TWO, 12, constant(512, 1e-3, 3e-3)),
    Entry("RQS+affine 2 × 64², not clipped", TWO, 12, cosine(512, 3e-3, 6e-3, clip=NO_CLIP)),
    Entry("RQS+affine 2 × 64², batch 256", TWO, 12, cosine(256, 2e-3, 4e-3)),
    Entry("RQS+affine 2 × 64², batch 1024", TWO, 12, cosine(1024, 6e-3, 1e-2)),
    Entry("RQS+affine 2 × 64², 4 bins", rqs(2, 64, 64, bins=4), 12, USUAL),
    Entry("RQS+affine 2 × 64², 16 bins", rqs(2, 64, 64, bins=16), 12, USUAL),
    Entry("RQS+affine 2 × 32²", rqs(2, 32, 32), 12, USUAL),
    Entry("RQS+affine 2 × 128²", rqs(2, 128, 128), 12, USUAL),
    Entry("MAF 8 × 64² norm", maf(8, 64, 64, norm=True), 12, USUAL),
    Entry("MAF 4 × 64²", maf(4, 64, 64), 12, USUAL),
    Entry("RQS+affine 5 × 64²", rqs(5, 64, 64), 12, USUAL),
    Entry("RQS+affine 2 × 64², 24 epochs, three trainings", TWO, 24, USUAL, trainings=3),
]
QUICK = [
    entry._replace(epochs=min(entry.epochs, 6), recipes=entry.recipes[:2])
    for entry in GRID
    if entry.name in ("RQS+affine 2 × 64²", "MAF 8 × 64²", "MAF 6 × 48")
]
