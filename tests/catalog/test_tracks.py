"""Distances from tracks beside astropy's great circles, and proper motions along them."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import ICRS, SkyCoord, SkyOffsetFrame

from viamachinae.catalog.tracks import Track, extended, feet, motion_at, pieces, track
from viamachinae.sky import direction

MASYR = u.mas / u.yr


def great_circle(ra: float, dec: float, lon: np.ndarray, pm: tuple[float, float]) -> Track:
    """Nodes on the equator of a turned frame, all with one motion along and across it."""
    there = SkyOffsetFrame(origin=SkyCoord(ra * u.deg, dec * u.deg), rotation=25 * u.deg)
    zero = np.zeros(len(lon))
    nodes = SkyCoord(
        lon * u.deg, zero * u.deg, frame=there,
        pm_lon_coslat=(pm[0] + zero) * MASYR, pm_lat=(pm[1] + zero) * MASYR,
    ).transform_to(ICRS())  # fmt: skip
    return track(
        nodes.ra.deg, nodes.dec.deg, nodes.pm_ra_cosdec.to_value(MASYR),
        nodes.pm_dec.to_value(MASYR),
    )  # fmt: skip


def around(ra: float, dec: float, lon: np.ndarray, lat: np.ndarray) -> SkyCoord:
    there = SkyOffsetFrame(origin=SkyCoord(ra * u.deg, dec * u.deg), rotation=25 * u.deg)
    return SkyCoord(lon * u.deg, lat * u.deg, frame=there).icrs


@pytest.mark.parametrize(("ra", "dec"), [(150.0, 30.0), (0.5, -2.0), (80.0, 88.0)])
def test_separation_is_the_latitude_over_the_great_circle(ra: float, dec: float) -> None:
    rng = np.random.default_rng(1)
    path = great_circle(ra, dec, np.linspace(-10, 10, 21), (3.0, -1.0))
    lon, lat = rng.uniform(-9, 9, 300), rng.uniform(-5, 5, 300)
    stars = around(ra, dec, lon, lat)
    where = feet(path, direction(stars.ra.deg, stars.dec.deg))
    np.testing.assert_allclose(where.separation_deg, np.abs(lat), atol=1e-9)
    np.testing.assert_allclose(where.segment + where.share - 10, lon, atol=1e-9)


def test_beyond_an_end_the_end_counts() -> None:
    path = great_circle(150.0, 30.0, np.linspace(-10, 10, 21), (3.0, -1.0))
    star = around(150.0, 30.0, np.array([13.0]), np.array([4.0]))
    end = around(150.0, 30.0, np.array([10.0]), np.array([0.0]))
    where = feet(path, direction(star.ra.deg, star.dec.deg))
    assert where.separation_deg[0] == pytest.approx(star.separation(end).deg[0], abs=1e-9)
    assert (where.segment[0], where.share[0]) == (19, 1.0)


def test_a_point_is_a_track() -> None:
    here = track(*(np.array([value]) for value in (10.0, 85.0, 1.5, -2.5)))
    star = SkyCoord(200.0 * u.deg, 84.0 * u.deg)
    where = feet(here, direction([200.0], [84.0]))
    expected = star.separation(SkyCoord(10.0 * u.deg, 85.0 * u.deg)).deg
    assert where.separation_deg[0] == pytest.approx(expected, abs=1e-9)
    pmra, pmdec = motion_at(here, feet(here, direction([10.0], [85.0])), [10.0], [85.0])
    assert (pmra[0], pmdec[0]) == pytest.approx((1.5, -2.5))
    assert pieces(here) == [here]
    assert extended(here, 20.0) is here


def test_motion_follows_the_track() -> None:
    path = great_circle(150.0, 80.0, np.linspace(-10, 10, 21), (3.0, -1.0))
    fine = great_circle(150.0, 80.0, np.linspace(-9.75, 9.75, 40), (3.0, -1.0))
    there = SkyCoord(fine.towards, representation_type="cartesian").spherical
    ra, dec = there.lon.deg, there.lat.deg
    pmra, pmdec = motion_at(path, feet(path, fine.towards), ra, dec)
    expected = motion_at(fine, feet(fine, fine.towards), ra, dec)
    np.testing.assert_allclose((pmra, pmdec), expected, atol=2e-3)


def test_an_extension_goes_on_along_the_great_circle_with_its_motion() -> None:
    path = great_circle(150.0, 30.0, np.linspace(-10, 10, 21), (3.0, -1.0))
    longer = great_circle(150.0, 30.0, np.array([-30.0, *np.linspace(-10, 10, 21), 30.0]), (3, -1))
    made = extended(path, 20.0)
    np.testing.assert_allclose(made.towards, longer.towards, atol=1e-12)
    np.testing.assert_allclose(made.motion, longer.motion, atol=1e-9)


def test_pieces_make_up_the_track() -> None:
    path = great_circle(150.0, 30.0, np.linspace(-10, 10, 6), (3.0, -1.0))
    stars = around(150.0, 30.0, np.linspace(-12, 12, 50), np.linspace(-3, 3, 50))
    points = direction(stars.ra.deg, stars.dec.deg)
    apart = np.min([feet(piece, points).separation_deg for piece in pieces(path)], axis=0)
    np.testing.assert_allclose(apart, feet(path, points).separation_deg, atol=1e-12)
