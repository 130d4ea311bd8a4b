"""The shapes of flows that are timed, and the arithmetic that each asks for."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from viamachinae.flows import Architecture

Work = Literal["training", "log_prob", "sampling"]
WORKS: tuple[Work, ...] = get_args(Work)

FEATURES = 5
CONDITIONS = 1

SHAPES = {
    "8x64x2": Architecture(FEATURES, CONDITIONS, 8, (64, 64)),
    "15x128": Architecture(FEATURES, CONDITIONS, 15, (128,)),
    "15x128-bn": Architecture(FEATURES, CONDITIONS, 15, (128,), batch_norm=True),
    "rqs-5x64x2": Architecture(FEATURES, CONDITIONS, 5, (64, 64), family="rqs_autoregressive"),
    "rqs-3x64x2": Architecture(FEATURES, CONDITIONS, 3, (64, 64), family="rqs_autoregressive"),
}
STACKS = (1, 16, 64)
BATCHES = (256, 512, 4096)


def connections(architecture: Architecture) -> int:
    """Weights of all networks of a flow that its masks leave."""
    count = 0
    for transform in architecture.transforms():
        masks = transform.masks()
        for name, shape in transform.shapes().items():
            if name.startswith("weight"):
                count += int(np.sum(masks.get(name, np.ones(shape))))
    return count


def operations(architecture: Architecture, work: Work) -> int:
    """Multiplications and additions that a star needs.

    Two for each connection, and in training as many for each of the two gradients: a matrix
    product's alone, so that what the maps of single features need comes on top.
    """
    return connections(architecture) * (6 if work == "training" else 2)
