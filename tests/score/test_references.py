"""The yardsticks come near the ideal ratio on the known sky."""

from __future__ import annotations

import numpy as np
import torch

from tests.score.known import auc, ideal_log_ratio
from viamachinae.config import ClassifierConfig
from viamachinae.score.references import idealised, supervised

CONFIG = ClassifierConfig(
    hidden=[32, 32], epochs=10, average_best=4, folds=3, learning_rate=3e-3, batch_size=128
)
GIVEN = {"seed": np.random.SeedSequence(5), "device": torch.device("cpu")}


def test_true_background_and_labels_rank_nearly_as_well_as_the_ideal_ratio(sky, region):
    inside = region.contains(sky["pm"][:, 0])
    x, pm, signal = sky["x"][inside], sky["pm"][inside, 0], sky["signal"][inside]
    source_id = sky["source_id"][inside]
    rng = np.random.default_rng(8)
    other = rng.permutation(np.repeat(pm[~signal], 2))
    background = np.column_stack([0.1 * other, -0.05 * other])
    background += rng.normal(size=background.shape) * [1.0, 1.2]
    stars, reference = x.astype(np.float32), background.astype(np.float32)
    ideal = auc(ideal_log_ratio(x, pm), signal)
    free = idealised(stars, source_id, reference, CONFIG, **GIVEN)
    told = supervised(stars, source_id, signal, CONFIG, **GIVEN)
    assert auc(free, signal) > ideal - 0.03
    assert auc(told, signal) > ideal - 0.015
