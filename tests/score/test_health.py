"""Health: good flows pass, a flow of other stars does not, and a refused region is not scored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kstest

from tests.score.known import CONFIG, prepared
from viamachinae.config import AnodeConfig, HealthConfig
from viamachinae.score import health
from viamachinae.score.evaluation import RegionScores
from viamachinae.score.health import MOST, NO_LIKELIHOOD, health_table, pit_distance, thinning
from viamachinae.score.method import score, train
from viamachinae.score.trained import load_flows, save_flows


@pytest.fixture(scope="module")
def stars(sky):
    return prepared(sky["x"], sky["pm"], sky["source_id"])


@pytest.fixture(scope="module")
def trained(stars, region):
    return train(stars, [region], CONFIG, AnodeConfig())[0]


def test_the_distance_is_kolmogorovs_of_the_worst_feature():
    z = np.random.default_rng(0).normal(size=(500, 3)) * [1.0, 1.3, 1.0]
    expected = max(kstest(z[:, feature], "norm").statistic for feature in range(3))
    assert pit_distance(z) == pytest.approx(expected)


@pytest.mark.parametrize("n", [0, 1, MOST, MOST + 1, 5 * MOST // 2])
def test_many_stars_are_thinned_evenly(n):
    own = np.arange(n)[thinning(n)]
    assert min(n, MOST / 2) < len(own) + 1 <= MOST + 1
    assert len(own) == n if n <= MOST else own[-1] > n - 4


def test_the_median_is_of_the_whole_region(stars, region, trained, monkeypatch):
    """Where the score is the proper motion itself, its median is in the middle of the region."""

    def score_of(_trained, _row, given):
        return RegionScores(*(given.given[:, 0].double().numpy(),) * 3)

    monkeypatch.setattr(health, "MOST", 50)
    monkeypatch.setitem(health.EVALUATE, trained.method, score_of)
    (row,) = health_table(trained, stars, HealthConfig(), "cpu")
    whole = np.median(stars.scaled[stars.held_out & region.contains(stars.pm), -1])
    assert row["median_log_ratio"] == pytest.approx(whole, abs=0.1)


def test_flows_of_these_stars_are_well(stars, trained):
    (row,) = health_table(trained, stars, HealthConfig(), "cpu")
    assert row["problem"] == ""
    assert row["pit_cr"] < 0.12
    assert abs(row["median_log_ratio"]) < 0.2
    assert row["outside_sr"] == 0


def test_a_flow_of_other_stars_is_not(stars, trained):
    moved = replace(stars, scaled=stars.scaled + np.array([1.0, 0.0, 0.0], np.float32))
    (row,) = health_table(trained, moved, HealthConfig(), "cpu")
    assert row["problem"].startswith("pit_sr is 0.")
    assert "(at most 0." in row["problem"]


def test_the_median_of_few_stars_may_be_off_by_chance(stars, region, trained):
    """Twenty held-out stars: their median of ln R is off by more than a limit of 1e-9."""
    inside = region.contains(stars.pm)
    few = replace(stars, held_out=stars.held_out & (~inside | (stars.source_id % 15 == 0)))
    (row,) = health_table(trained, few, HealthConfig(max_median_log_ratio=1e-9), "cpu")
    assert abs(row["median_log_ratio"]) > 1e-9
    assert "median" not in row["problem"]


def test_a_failed_flow_has_no_numbers(stars, trained):
    broken = replace(trained, failed=np.array([[False, True]]))
    (row,) = health_table(broken, stars, HealthConfig(), "cpu")
    assert row["problem"] == NO_LIKELIHOOD
    assert np.isnan(row["pit_sr"])


def test_a_refused_region_is_not_scored(tmp_path: Path, sky, region, trained):
    refused = replace(trained, refused=frozenset([0]))
    save_flows(tmp_path / "flows.safetensors", refused)
    again = load_flows(tmp_path / "flows.safetensors")
    assert again.failed_regions() == [region]
    assert len(score(again, sky["x"], sky["pm"], sky["source_id"], "cpu")) == 0
