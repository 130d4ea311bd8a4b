"""The memory of a training, from its stars and its signal regions."""

from __future__ import annotations

import numpy as np

from viamachinae.config import ScanConfig
from viamachinae.flows.stack import FlowStack
from viamachinae.pipeline.estimate import memory_bytes
from viamachinae.score.densities import architecture_of, lanes_of


def training_bytes(n_stars: int, n_regions: int, config: ScanConfig) -> int:
    """Peak of main memory while the flows of one scan, two a region, train on so many stars."""
    train, features = config.train, len(config.preprocess.features)
    architecture = architecture_of(train.flow, features)
    weights = FlowStack.draw(architecture, [np.random.default_rng(0)]).weights
    n_flows = 2 * train.retrainings * n_regions
    trained_bytes = n_flows * (train.average_last + 1) * weights.numel() * weights.element_size()
    return memory_bytes(n_stars, lanes_of(train, features), trained_bytes)
