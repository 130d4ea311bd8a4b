"""Clumps and streams among the stars of regions of interest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from viamachinae.config import LinkConfig
from viamachinae.link.clumps import densest_share
from viamachinae.link.hough import hough_plane
from viamachinae.link.protoclusters import find_protoclusters
from viamachinae.sky import Patch

Floats = NDArray[np.float64]
CONFIG = LinkConfig()
N_ROIS = 8
PATCH = Patch("here", 150.0, 30.0, 15.0, 10.0)


def test_the_densest_disc_is_found_by_hand() -> None:
    points = np.array([[0.0, 0.0], [0.6, 0.0], [1.2, 0.0], [5.0, 5.0], [-5.0, 2.0]])
    assert densest_share(points, 0.7) == pytest.approx(3 / 5)
    assert densest_share(points, 0.5) == pytest.approx(1 / 5)
    assert densest_share(points, 20.0) == 1.0
    assert np.isnan(densest_share(points[:0], 1.0))


@pytest.fixture
def rois(catalogue, choose, disc):
    """ROIs of 100 stars, each with a signal of its own."""

    def make(signal: Callable[[], tuple[Floats, Floats]]):
        phi, lam = [], []
        for _ in range(N_ROIS):
            x, y = signal()
            beside = disc(100 - len(x), 9.9)
            phi.append(np.append(x, beside[0]))
            lam.append(np.append(y, beside[1]))
        stars = catalogue(PATCH, np.concatenate(phi), np.concatenate(lam), (-7.0, -7.0), 0.2)
        rows = np.arange(100 * N_ROIS).reshape(N_ROIS, 100)
        lists = [("pm_lam", float(i), rows[i]) for i in range(N_ROIS)]
        return choose(stars, lists, CONFIG)

    return make


def clump(rng: np.random.Generator, n: int, width_deg: float) -> tuple[Floats, Floats]:
    centre = rng.uniform(-5, 5, 2)
    x, y = centre[:, None] + rng.normal(0, width_deg, (2, n))
    return x, y


def flagged(rois) -> Floats:
    return np.asarray(rois.lines["clump_share"]) > CONFIG.clumps.max_share


def test_clumps_are_told_from_streams(rois, line, disc, rng) -> None:
    # A stream of 3 sigma to 12 sigma across the disc, and clusters that pass for such lines.
    for n in (20, 50):
        assert not flagged(rois(lambda n=n: line(n, rng.uniform(0, 180), rng.uniform(-5, 5)))).any()
        assert flagged(rois(lambda n=n: clump(rng, n, 0.2))).mean() > 0.9
    assert not flagged(rois(lambda: disc(50, 9.9))).any()


def test_vetoed_regions_form_no_protocluster(rois, line, rng) -> None:
    veto = CONFIG.model_copy(update={"clumps": CONFIG.clumps.model_copy(update={"veto": True})})
    plane = hough_plane(CONFIG.lines, 10.0)
    clumps = rois(lambda: clump(rng, 50, 0.2))
    assert len(find_protoclusters(clumps, plane, CONFIG)) > 0
    kept = find_protoclusters(clumps, plane, veto)
    used = {roi for rois in kept["roi"].to_pylist() for roi in rois}
    assert not used & set(np.flatnonzero(flagged(clumps)).tolist())
    streams = rois(lambda: line(50, 40.0, 2.0))
    assert find_protoclusters(streams, plane, veto).equals(
        find_protoclusters(streams, plane, CONFIG)
    )
