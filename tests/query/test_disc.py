"""Discs against separations of 3-vectors, at awkward places."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from viamachinae.query.disc import Disc

CENTRES = [(148.6, 24.2), (0.0, 0.0), (359.9, 40.0), (0.1, -40.0), (123.0, 90.0), (77.0, -89.0)]


def vectors(ra, dec):
    lon, lat = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def separation_deg(ra, dec, ra0, dec0):
    """Angle between unit vectors from cross and dot product."""
    a, b = vectors(ra, dec), vectors(ra0, dec0)
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), a @ b))


@pytest.mark.parametrize(("ra", "dec"), CENTRES)
@pytest.mark.parametrize("radius_deg", [0.01, 5.0, 15.0, 120.0])
def test_holds_what_lies_within_the_angle(ra: float, dec: float, radius_deg: float) -> None:
    rng = np.random.default_rng(1)
    near = rng.normal(0, radius_deg, (2, 20_000))
    points_dec = np.clip(dec + near[1], -90, 90)
    points_ra = (ra + near[0] / np.maximum(np.cos(np.radians(points_dec)), 1e-3)) % 360
    angle = separation_deg(points_ra, points_dec, ra, dec)
    clear = np.abs(angle - radius_deg) > 1e-9
    inside = Disc(ra, dec, radius_deg).holds(points_ra, points_dec)
    assert 0 < inside.sum() < inside.size
    np.testing.assert_array_equal(inside[clear], (angle < radius_deg)[clear])


def test_the_rim_belongs_and_nan_does_not() -> None:
    disc = Disc(0.0, 0.0, 90.0)
    inside = disc.holds(np.array([90.0, 90.1, np.nan, 0.0]), np.array([0.0, 0.0, 0.0, np.nan]))
    assert inside.tolist() == [True, False, False, False]


def test_right_ascensions_below_zero_mean_the_same_point() -> None:
    assert Disc(359.0, 10.0, 2.0).holds(np.array([-1.0, 359.0]), np.array([10.0, 10.0])).all()


@given(
    ra=st.floats(0, 360),
    dec=st.floats(-90, 90),
    radius_deg=st.floats(0.01, 60),
    corner=st.tuples(st.floats(-180, 355), st.floats(-90, 85)),
    size=st.tuples(st.floats(0, 30), st.floats(0, 30)),
)
def test_skipping_a_range_loses_no_star(ra, dec, radius_deg, corner, size) -> None:
    disc = Disc(ra, dec, radius_deg)
    ra_range = (corner[0], corner[0] + size[0])
    dec_range = (corner[1], min(corner[1] + size[1], 90.0))
    grid = np.meshgrid(np.linspace(*ra_range, 15), np.linspace(*dec_range, 15))
    if disc.holds(grid[0].ravel(), grid[1].ravel()).any():
        assert disc.may_meet(ra_range, dec_range)


@pytest.mark.parametrize(
    ("ra_range", "dec_range", "expected"),
    [
        ((140.0, 150.0), (20.0, 30.0), True),
        ((140.0, 150.0), (35.0, 40.0), False),
        ((200.0, 210.0), (20.0, 30.0), False),
        (None, (20.0, 30.0), True),
        ((200.0, 210.0), None, False),
        ((float("nan"), float("nan")), (20.0, 30.0), True),
        (None, None, True),
    ],
)
def test_ranges_far_away_are_skipped(ra_range, dec_range, expected) -> None:
    assert Disc(148.6, 24.2, 5.0).may_meet(ra_range, dec_range) is expected


def test_ranges_across_ra_zero_are_kept() -> None:
    disc = Disc(1.0, 10.0, 3.0)
    assert disc.may_meet((358.0, 360.0), (9.0, 11.0))
    assert disc.may_meet((-2.0, -1.5), (9.0, 11.0))
    assert not disc.may_meet((180.0, 190.0), (9.0, 11.0))
