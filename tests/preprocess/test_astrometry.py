"""Patch frame and heights against hand calculations."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import Galactic, SkyCoord

from viamachinae.preprocess.astrometry import in_frame, is_good_parallax, least_height_kpc
from viamachinae.sky import Patch

PATCH = Patch("p", 150.0, 20.0, 15.0, 10.0)


def at(l_deg, b_deg):
    return SkyCoord(l_deg * u.deg, b_deg * u.deg, frame=Galactic()).icrs


def test_at_the_centre_the_axes_are_those_of_icrs() -> None:
    columns = {"ra": [150.0], "dec": [20.0], "pmra": [3.0], "pmdec": [-7.0]}
    frame = in_frame(PATCH, {name: np.array(values) for name, values in columns.items()})
    np.testing.assert_allclose(np.ravel(frame), [0.0, 0.0, 3.0, -7.0], atol=1e-12)


def test_no_stars_have_a_frame_too() -> None:
    frame = in_frame(PATCH, dict.fromkeys(("ra", "dec", "pmra", "pmdec"), np.empty(0)))
    assert [values.shape for values in frame] == [(0,)] * 4


@pytest.mark.parametrize(
    ("parallax", "error", "good"),
    [
        (1.0, 0.1, True),
        (1.0, 0.2, False),  # the bound itself is not below the bound
        (1.0, 0.3, False),
        (-1.0, -0.1, False),
        (-1.0, 0.1, False),
        (0.0, 0.0, False),
        (np.nan, 0.1, False),
        (1.0, np.nan, False),
    ],
)
def test_good_parallaxes(parallax: float, error: float, good: bool) -> None:
    assert is_good_parallax(np.array([parallax]), np.array([error]), 0.2).tolist() == [good]


def test_heights_by_hand() -> None:
    # 1 / (0.4 + 2 * 0.05) = 2 kpc; sin 30 deg = 1/2; sin -90 deg = -1; sin 0 = 0.
    stars = at(np.array([10.0, 200.0, 50.0]), np.array([30.0, -90.0, 0.0]))
    height_kpc = least_height_kpc(stars.ra.deg, stars.dec.deg, np.full(3, 0.4), np.full(3, 0.05))
    np.testing.assert_allclose(height_kpc, [1.0, 2.0, 0.0], atol=1e-12)
