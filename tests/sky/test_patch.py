from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord, SkyOffsetFrame
from hypothesis import given, settings
from hypothesis import strategies as st

from viamachinae.sky import Patch

CENTRES = [(148.6, 24.2), (0.0, 0.0), (359.95, -30.0), (12.0, 90.0), (12.0, -90.0), (80.0, 89.7)]


def patch_at(ra: float, dec: float) -> Patch:
    return Patch("p", ra, dec, 15.0, 10.0)


def stars_around(patch: Patch, n: int = 500) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(5)
    angle = rng.uniform(0, 360, n) * u.deg
    distance = rng.uniform(0.01, 15, n) * u.deg
    points = patch.centre.directional_offset_by(angle, distance)
    pmra, pmdec = rng.normal(0, 8, (2, n))
    return points.ra.deg, points.dec.deg, pmra, pmdec


@pytest.mark.parametrize("centre", CENTRES)
def test_frame_round_trip(centre: tuple[float, float]) -> None:
    patch = patch_at(*centre)
    ra, dec, pmra, pmdec = stars_around(patch)
    back = patch.from_frame(*patch.to_frame(ra, dec, pmra, pmdec))
    np.testing.assert_allclose((back.ra - ra + 180) % 360 - 180, 0, atol=1e-9)
    np.testing.assert_allclose(back.dec, dec, atol=1e-9)
    np.testing.assert_allclose(back.pmra, pmra, atol=1e-9)
    np.testing.assert_allclose(back.pmdec, pmdec, atol=1e-9)


@pytest.mark.parametrize("centre", CENTRES)
def test_frame_against_spherical_trigonometry(centre: tuple[float, float]) -> None:
    """Positions from separation and position angle; proper motions from a moved star."""
    patch = patch_at(*centre)
    ra, dec, pmra, pmdec = stars_around(patch)
    stars = SkyCoord(ra * u.deg, dec * u.deg)
    offset = stars.transform_to(SkyOffsetFrame(origin=patch.centre))
    frame = patch.to_frame(ra, dec, pmra, pmdec)
    np.testing.assert_allclose(frame.phi, offset.lon.wrap_at(180 * u.deg).deg, atol=1e-9)
    np.testing.assert_allclose(frame.lam, offset.lat.deg, atol=1e-9)
    radius = np.hypot(
        np.sin(np.radians(frame.lam)),
        np.sin(np.radians(frame.phi)) * np.cos(np.radians(frame.lam)),
    )
    np.testing.assert_allclose(radius, np.sin(patch.centre.separation(stars).rad), atol=1e-12)
    np.testing.assert_allclose(
        np.hypot(frame.pm_phi, frame.pm_lam), np.hypot(pmra, pmdec), rtol=1e-12
    )
    step = 1e-5 * np.hypot(pmra, pmdec) * u.deg
    moved = stars.directional_offset_by(np.arctan2(pmra, pmdec) * u.rad, step)
    ahead = moved.transform_to(SkyOffsetFrame(origin=patch.centre))
    dlon = (ahead.lon - offset.lon).wrap_at(180 * u.deg).deg * np.cos(offset.lat.rad)
    np.testing.assert_allclose(dlon / 1e-5, frame.pm_phi, atol=2e-3)
    np.testing.assert_allclose((ahead.lat - offset.lat).deg / 1e-5, frame.pm_lam, atol=2e-3)


@given(ra=st.floats(0, 359.999), dec=st.floats(-89.9, 89.9))
@settings(max_examples=25, deadline=None)
def test_centre_is_the_origin(ra: float, dec: float) -> None:
    frame = patch_at(ra, dec).to_frame([ra], [dec], [3.0], [-4.0])
    np.testing.assert_allclose(np.array(frame).ravel(), [0, 0, 3, -4], atol=1e-9)


def test_positions_alone_are_those_with_proper_motions() -> None:
    patch = patch_at(150.0, -40.0)
    ra, dec = np.array([[140.0, 150.0], [155.0, 190.0]]), np.array([[-45.0, -40.0], [-30.0, -60.0]])
    phi, lam = patch.offsets(ra, dec)
    whole = patch.to_frame(ra.ravel(), dec.ravel(), np.ones(4), np.ones(4))
    np.testing.assert_allclose([phi.ravel(), lam.ravel()], whole[:2], atol=1e-10)
    np.testing.assert_allclose(patch.sky_points(phi, lam), (ra, dec), atol=1e-10)


def test_separation_across_ra_zero() -> None:
    assert patch_at(359.0, 0.0).separation_deg([1.0], [0.0])[0] == pytest.approx(2.0)


def test_no_stars_have_no_positions() -> None:
    patch = patch_at(10.0, 20.0)
    assert [values.shape for values in patch.to_frame([], [], [], [])] == [(0,)] * 4
    assert [values.shape for values in patch.from_frame([], [], [], [])] == [(0,)] * 4
