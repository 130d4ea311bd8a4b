"""The projections against astropy's spherical geometry."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord, SkyOffsetFrame
from matplotlib.figure import Figure

from viamachinae.inspect.projection import (
    Directions,
    circle,
    directions,
    frame_of,
    galactic_xy,
    great_circle,
    local_axes,
    local_xy,
    vectors,
)


def test_directions_undo_vectors() -> None:
    points = Directions(np.array([0.0, 123.4, 359.9]), np.array([-89.0, 10.0, 45.0]))
    ra, dec = directions(3.0 * vectors(points))
    np.testing.assert_allclose(ra, points.ra, atol=1e-10)
    np.testing.assert_allclose(dec, points.dec, atol=1e-10)


@pytest.mark.parametrize(("ra", "dec"), [(0.0, 0.0), (200.0, 60.0), (10.0, 90.0)])
def test_a_circle_has_its_radius_everywhere(ra: float, dec: float) -> None:
    rim = circle(ra, dec, 10.0)
    distance = rim.coordinates.separation(SkyCoord(ra * u.deg, dec * u.deg)).deg
    np.testing.assert_allclose(distance, 10.0, atol=1e-9)


def test_frame_holds_points_on_both_sides_of_ra_zero() -> None:
    ra, dec, radius = frame_of(Directions(np.array([355.0, 5.0]), np.array([0.0, 0.0])))
    assert (ra + 180) % 360 - 180 == pytest.approx(0, abs=1e-9)
    assert dec == pytest.approx(0, abs=1e-9)
    assert 5 < radius < 6


def test_great_circle_is_found_under_scatter_and_ends_with_its_stars() -> None:
    # In an offset frame with a rotation, any great circle is the equator.
    frame = SkyOffsetFrame(origin=SkyCoord(350 * u.deg, 60 * u.deg), rotation=25 * u.deg)
    rng = np.random.default_rng(5)
    along, across = np.linspace(-20, 20, 400), rng.normal(0, 0.2, 400)
    stars = SkyCoord(along * u.deg, across * u.deg, frame=frame).icrs
    arc = great_circle(Directions(stars.ra.deg, stars.dec.deg)).coordinates.transform_to(frame)
    # Error of the fitted circle: 0.2 deg / sqrt(400), and larger towards its ends.
    assert np.abs(arc.lat.deg).max() < 0.05
    ends = np.sort(arc.lon.wrap_at(180 * u.deg).deg)[[0, -1]]
    np.testing.assert_allclose(ends, [-20, 20], atol=0.05)


def test_great_circle_of_one_star_stays_there() -> None:
    arc = great_circle(Directions(np.array([40.0]), np.array([-30.0])))
    np.testing.assert_allclose(arc.ra, 40.0)
    np.testing.assert_allclose(arc.dec, -30.0)


def test_local_axes_are_equal_area_with_east_to_the_left() -> None:
    axes = local_axes(Figure(), 359.0, 30.0, 20.0)
    x, y = local_xy(axes, Directions(np.array([359.0, 1.0]), np.array([30.0, 30.0])))
    np.testing.assert_allclose([x[0], y[0]], 0, atol=1e-9)
    assert x[1] < 0
    # Lambert's azimuthal equal-area projection: distance θ from the centre falls at 2 sin(θ/2).
    rim = local_xy(axes, circle(359.0, 30.0, 20.0))
    expected = np.degrees(2 * np.sin(np.radians(20) / 2))
    np.testing.assert_allclose(np.hypot(*rim), expected, rtol=1e-9)
    assert axes.get_xlim()[1] == pytest.approx(expected)


def test_galactic_longitude_grows_to_the_left() -> None:
    points = SkyCoord([90, 0, 270] * u.deg, [45, 0, -45] * u.deg, frame="galactic").icrs
    x, y = galactic_xy(Directions(points.ra.deg, points.dec.deg))
    np.testing.assert_allclose(np.degrees(x), [-90, 0, 90], atol=1e-9)
    np.testing.assert_allclose(np.degrees(y), [45, 0, -45], atol=1e-9)


def test_a_circle_breaks_at_the_edge_of_the_map() -> None:
    centre = SkyCoord(180 * u.deg, 40 * u.deg, frame="galactic").icrs
    x, y = galactic_xy(circle(centre.ra.deg, centre.dec.deg, 10.0))
    assert np.isnan(x).sum() == np.isnan(y).sum() == 2
    steps = np.abs(np.diff(x))
    assert np.nanmax(steps) < np.radians(5)
