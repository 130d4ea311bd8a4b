"""The stars that every library is timed and judged on."""

from __future__ import annotations

import numpy as np

from viamachinae.bench.library import Floats
from viamachinae.bench.shapes import CONDITIONS, FEATURES

COMPONENTS = 6


def draw_stars(n: int, seed: int) -> Floats:
    """Features and a condition, float32 of shape (n, 6), each of variance about 1.

    A mixture of tilted Gaussians whose means move with the condition. The mixture is the same
    for every seed.
    """
    fixed = np.random.default_rng(0)
    means = fixed.normal(0, 0.8, (COMPONENTS, FEATURES))
    slopes = fixed.normal(0, 0.3, (COMPONENTS, FEATURES))
    axes, _ = np.linalg.qr(fixed.normal(size=(COMPONENTS, FEATURES, FEATURES)))
    spreads = axes * fixed.uniform(0.3, 0.8, (COMPONENTS, 1, FEATURES))
    generator = np.random.default_rng([1, seed])
    condition = generator.normal(size=(n, CONDITIONS))
    part = generator.integers(COMPONENTS, size=n)
    noise = generator.normal(size=(n, FEATURES))
    x = means[part] + slopes[part] * condition + np.einsum("nij,nj->ni", spreads[part], noise)
    return np.concatenate([x, condition], axis=1).astype(np.float32)
