"""Null skies as configurations, caps of patches, and the parts of a scan without candidates."""

from __future__ import annotations

import numpy as np
import pytest

from viamachinae.config import ScanConfig
from viamachinae.sky import overlaps, tile
from viamachinae.validate.nulls import cap, compared, empty_rois, null_config

STREAM = {
    "name": "one",
    "n_stars": 9,
    "length_deg": 5,
    "width_deg": 0.2,
    "track": {
        "kind": "great_circle",
        "ra": 10,
        "dec": 50,
        "position_angle_deg": 3,
        "pmra": 1,
        "pmdec": 2,
        "distance_kpc": 9,
    },
}


@pytest.fixture(scope="module")
def config() -> ScanConfig:
    """Of a simulated scan of the whole sky."""
    query = {"galaxy": {"fraction": 0.1}, "streams": [STREAM]}
    return ScanConfig.model_validate({"query": query, "nulls": {"skies": 3}})


def test_a_simulated_null_sky_has_the_galaxy_and_no_stream(config: ScanConfig) -> None:
    first, second = (null_config(config, "simulated", draw) for draw in (0, 1))
    assert first.query.galaxy == config.query.galaxy  # type: ignore[union-attr]
    assert first.query.streams == []  # type: ignore[union-attr]
    assert len({config.seed, first.seed, second.seed}) == 3
    assert first.sky == config.sky
    assert (first.link.protoclusters.min_sigma, first.nulls.skies) == (5.0, 0)
    assert compared(first) != compared(second)


def test_a_shuffled_null_sky_has_the_stars(config: ScanConfig) -> None:
    null = null_config(config, "shuffled", 4)
    assert (null.query, null.seed, null.nulls.draw) == (config.query, config.seed, 4)


def test_a_null_sky_of_real_stars_is_simulated_from_its_own_galaxy() -> None:
    given = {
        "query": {"source": "files", "path": "x"},
        "nulls": {"galaxy": {"fraction": 0.3}},
        "link": {"protoclusters": {"min_sigma": 4.0}},
    }
    null = null_config(ScanConfig.model_validate(given), "simulated", 0)
    assert null.query.galaxy.fraction == 0.3  # type: ignore[union-attr]
    # A cut of the scan below that of null skies is theirs too.
    assert null.link.protoclusters.min_sigma == 4.0


def test_what_makes_null_skies_stale(config: ScanConfig) -> None:
    null = compared(null_config(config, "shuffled", 0))
    same = config.model_copy(update={"name": "other"})
    assert compared(null_config(same, "shuffled", 0, n_patches=9)) == null
    roi = config.link.roi.model_copy(update={"n_stars": 50})
    other = config.model_copy(update={"link": config.link.model_copy(update={"roi": roi})})
    assert compared(null_config(other, "shuffled", 0)) != null


def test_a_part_of_the_tiling_keeps_its_neighbours(config: ScanConfig) -> None:
    null = null_config(config, "shuffled", 0, n_patches=12)
    patches = tile(null.sky)
    assert len(patches) == 12
    assert {one.id for one in patches} < {one.id for one in tile(config.sky)}
    # Each overlaps some other: they are a cap and not a random sample.
    assert {i for pair in overlaps(patches) for i in pair} == set(range(12))
    assert patches != tile(null_config(config, "shuffled", 1, n_patches=12).sky)
    assert len(cap(patches, 99, np.random.default_rng(0))) == 12


def test_regions_that_hold_no_line_star() -> None:
    region, window = np.array([0.0, 0.0, 4.0, -6.0]), np.array([0.0, 6.0, 0.0, 0.0])
    stars = np.array([5.0, 0.0]), np.array([1.0, 3.0])
    # (5, 1) lies in the first and third, (0, 3) in the first; an upper edge is outside.
    assert empty_rois(region, window, (6.0, 6.0), stars).tolist() == [False, True, False, True]
    nobody = np.empty(0), np.empty(0)
    assert empty_rois(region, window, (6.0, 6.0), nobody).all()
