"""Signal regions: edges, half-open intervals, counts and the reason when none is left."""

from __future__ import annotations

import numpy as np
import pytest

from viamachinae.config import RegionsConfig
from viamachinae.score.regions import all_regions, signal_regions, why_none


@pytest.fixture
def pm() -> np.ndarray:
    return np.random.default_rng(0).normal(-1.3, 4, 5000)


def test_edges_are_integer_multiples_of_the_stride_and_intervals_half_open():
    regions = all_regions([0.0, 1.0, 1.0, 2.0], "pm_lam", RegionsConfig(width_masyr=1.0))
    assert [(r.lower, r.upper, r.n_signal) for r in regions] == [(0, 1, 1), (1, 2, 2), (2, 3, 1)]
    assert regions[1].contains([0.999, 1.0, 1.999, 2.0]).tolist() == [False, True, True, False]
    assert {r.n_signal + r.n_control for r in regions} == {4}


def test_counts_are_those_of_contains(pm):
    for region in all_regions(pm, "pm_phi", RegionsConfig(width_masyr=1.5, stride_masyr=0.3)):
        assert region.n_signal == np.count_nonzero(region.contains(pm))
        assert region.lower == round(region.lower, 9)
        assert region.lower / 0.3 == pytest.approx(round(region.lower / 0.3), abs=1e-6)


def test_every_star_lies_in_width_over_stride_regions(pm):
    regions = all_regions(pm, "pm_lam", RegionsConfig(width_masyr=6, stride_masyr=1))
    covered = np.sum([region.contains(pm) for region in regions], axis=0)
    assert (covered == 6).all()


def test_only_workable_regions_are_kept(pm):
    config = RegionsConfig(width_masyr=3, min_stars=800, max_stars=1300)
    kept = signal_regions(pm, "pm_lam", config)
    assert kept
    assert all(800 <= r.n_signal <= 1300 and r.n_control >= 800 for r in kept)
    rejected = [r for r in all_regions(pm, "pm_lam", config) if r not in kept]
    assert all(r.n_signal < 800 or r.n_signal > 1300 or r.n_control < 800 for r in rejected)


def test_a_region_with_too_small_a_control_region_is_not_kept(pm):
    config = RegionsConfig(width_masyr=40, range_masyr=(-20, 20), min_stars=100)
    (region,) = all_regions(pm, "pm_lam", config)
    assert region.n_signal == len(pm)
    assert signal_regions(pm, "pm_lam", config) == []


def test_the_range_bounds_both_edges(pm):
    config = RegionsConfig(width_masyr=1.5, stride_masyr=0.5, range_masyr=(-3, 0), min_stars=1)
    assert [r.lower for r in signal_regions(pm, "pm_lam", config)] == [-3, -2.5, -2, -1.5]


def test_why_none_counts_what_was_tried(pm):
    config = RegionsConfig(width_masyr=3)
    assert "fewer than 20000 stars (the fullest holds" in why_none(
        all_regions(pm, "pm_lam", config), config
    )
    assert why_none(all_regions([], "pm_lam", config), config).startswith("no star lies")
