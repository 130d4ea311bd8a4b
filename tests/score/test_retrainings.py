"""Several trainings of a region: independent, averaged, and none spoils the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.score.known import CONFIG, prepared
from viamachinae.config import AnodeConfig, ScoreConfig
from viamachinae.flows.stack import FlowStack
from viamachinae.score.method import score, train
from viamachinae.score.regions import SignalRegion
from viamachinae.score.trained import Trained

QUICK = CONFIG.model_copy(update={"epochs": 2, "average_last": 1})
ANODE: ScoreConfig = AnodeConfig()


@pytest.fixture(scope="module")
def stars(sky: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return sky["x"][::10], sky["pm"][::10], sky["source_id"][::10]


@pytest.fixture(scope="module")
def thrice(stars, region: SignalRegion) -> Trained:
    config = QUICK.model_copy(update={"retrainings": 3})
    return train(prepared(*stars), [region], config, ANODE)[0]


def test_the_first_training_is_that_of_a_region_trained_once(stars, region, thrice) -> None:
    once, _ = train(prepared(*stars), [region], QUICK, ANODE)
    torch.testing.assert_close(thrice.weights[:1], once.weights, rtol=1e-3, atol=1e-4)
    assert not torch.equal(thrice.weights[1], thrice.weights[0])
    assert [one.retraining for one in thrice.regions] == [0, 1, 2]


def test_scores_are_means_over_trainings(stars, thrice) -> None:
    scores = score(thrice, *stars, "cpu")
    each = np.array([scores[f"log_ratio_{number}"] for number in range(3)])
    np.testing.assert_allclose(scores["log_ratio"], each.mean(axis=0))
    np.testing.assert_allclose(scores["log_ratio"], scores["log_sr"] - scores["log_cr"])
    assert np.ptp(each, axis=0).max() > 0.1
    # The second by itself, computed from its flows.
    inside = np.isin(stars[2], scores["source_id"])
    z, given, _ = thrice.scale(stars[0][inside], stars[1][inside])
    sr, cr = (
        FlowStack(thrice.architecture, thrice.weights[1, n], thrice.statistics[1, n])
        .eval()
        .average_log_prob(torch.tensor(z).float(), torch.tensor(given).float())
        for n in (0, 1)
    )
    by_id = np.argsort(stars[2][inside])
    np.testing.assert_allclose(each[1], (sr - cr).numpy()[by_id], atol=1e-3)


def test_a_training_that_failed_is_left_out_of_the_means(stars, thrice, region) -> None:
    scores = score(replace(thrice, refused=frozenset([1])), *stars, "cpu")
    assert np.isnan(scores["log_ratio_1"]).all()
    mean = (scores["log_ratio_0"] + scores["log_ratio_2"]) / 2
    np.testing.assert_allclose(scores["log_ratio"], mean)
    ill = replace(thrice, refused=frozenset([0, 1, 2]))
    assert ill.failed_regions() == [region]
    assert len(score(ill, *stars, "cpu")) == 0
