"""What each library's flow learns in the same training: speed counts only beside it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from viamachinae.bench.libraries import LIBRARIES
from viamachinae.bench.library import Recipe
from viamachinae.bench.shapes import SHAPES
from viamachinae.bench.stars import draw_stars

N_TRAIN = 204_800
N_HELD_OUT = 20_480
EPOCHS = 2
BATCH = 512
LEARNING_RATE = 2e-3


class Likelihood(NamedTuple):
    """Mean ln p of held-out stars under one library's flow, in nats a star."""

    shape: str
    library: str
    nats: float


def held_out(shape: str, library: str, epochs: int = EPOCHS) -> Likelihood:
    """Train one flow with the common recipe, on the common stars in the common order."""
    recipe = Recipe(LEARNING_RATE, BATCH, steps=epochs * N_TRAIN // BATCH)
    flows = LIBRARIES[library].flows(SHAPES[shape], draw_stars(N_TRAIN, seed=1), 1, recipe, 0)
    generator = np.random.default_rng(0)
    for _ in range(epochs):
        order = generator.permutation(np.arange(N_TRAIN, dtype=np.int32))
        flows.train(order.reshape(1, -1, BATCH))
    stars = draw_stars(N_HELD_OUT, seed=2)
    parts = np.split(stars[None], N_HELD_OUT // BATCH, axis=1)
    log_prob = np.concatenate(
        [flows.log_prob(np.ascontiguousarray(part)) for part in parts], axis=1
    )
    return Likelihood(shape, library, float(log_prob.astype(np.float64).mean()))
