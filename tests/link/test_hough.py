"""The Hough plane: membership of boxes, their areas, the checks of the configuration."""

from __future__ import annotations

import numpy as np
import pytest

from viamachinae.config import LineConfig
from viamachinae.link.hough import box_counts, hough_curves, hough_plane


def counts_of(plane, x, y):
    x, y = np.atleast_1d(x).astype(float), np.atleast_1d(y).astype(float)
    return box_counts(plane, hough_curves(plane, x, y), np.zeros(len(x), dtype=np.int64), 1)[0]


def test_the_default_plane_has_the_cells_of_the_method() -> None:
    plane = hough_plane(LineConfig(), 10.0)
    assert plane.shape == (100, 104)  # 180 / 1.8; 20 / 0.2 and two cells beyond either rim
    np.testing.assert_allclose(np.diff(plane.theta_deg), 1.8)
    np.testing.assert_allclose(np.diff(plane.r_deg), 0.2)
    np.testing.assert_allclose(plane.r_deg + plane.r_deg[::-1], 0, atol=1e-12)


def test_a_star_counts_once_in_each_box_that_its_curve_enters() -> None:
    plane = hough_plane(LineConfig(), 10.0)
    x, y = 6.3, -4.1
    counts = counts_of(plane, x, y)
    assert counts.max() == 1
    theta = np.radians(plane.theta_deg)
    r = x * np.sin(theta) - y * np.cos(theta)
    # A box's own row holds the boxes within half a box of the curve, and with the curve's turn
    # by one cell of theta (at most 7.6 deg * 0.0314) no box farther than that is entered.
    distance = np.abs(plane.r_deg[None, :] - r[:, None])
    assert np.all(counts[distance < 0.4] == 1)
    assert np.all(counts[distance > 0.6 + 7.6 * np.radians(1.8)] == 0)


def test_a_star_listed_twice_counts_twice() -> None:
    plane = hough_plane(LineConfig(), 10.0)
    np.testing.assert_array_equal(
        counts_of(plane, [1.0, 1.0], [2.0, 2.0]), 2 * counts_of(plane, 1.0, 2.0)
    )


@pytest.mark.parametrize("radius_deg", [5.0, 10.0, 15.0])
def test_area_of_a_box_of_one_angle_is_the_strip_in_the_disc(radius_deg: float) -> None:
    plane = hough_plane(LineConfig(box=(1, 5)), radius_deg)

    def left_of(r):  # area of the disc left of a chord at r
        r = np.clip(r, -radius_deg, radius_deg)
        return r * np.sqrt(radius_deg**2 - r**2) + radius_deg**2 * np.arcsin(r / radius_deg)

    strip = left_of(plane.r_deg + 0.5) - left_of(plane.r_deg - 0.5)
    kept = plane.area_deg2 > 0
    np.testing.assert_allclose(plane.area_deg2[kept], strip[kept], rtol=0.01)
    assert np.all(strip[~kept] < 0.102 * strip.max())
    assert np.all(strip[kept] > 0.098 * strip.max())


def test_area_of_a_box_of_three_angles_agrees_with_a_square_grid() -> None:
    plane = hough_plane(LineConfig(), 10.0)
    step = 0.04
    x, y = (a.ravel() for a in np.meshgrid(*[np.arange(-10, 10, step) + step / 2] * 2))
    inside = np.hypot(x, y) < 10
    x, y = x[inside], y[inside]
    for r_cell in (6, 20, 51):
        box = plane.r_deg[r_cell] + np.array([-0.5, 0.5])
        angles = np.radians(36.9 + np.array([-1.8, 0, 1.8]))
        r = x * np.sin(angles)[:, None] - y * np.cos(angles)[:, None]
        # Joined between the angles, a curve that jumps over the box enters it too.
        area = np.sum((r.min(axis=0) < box[1]) & (r.max(axis=0) >= box[0])) * step**2
        assert plane.area_deg2[r_cell] == pytest.approx(area, rel=0.01)


def test_stars_outside_the_disc_are_refused() -> None:
    plane = hough_plane(LineConfig(), 10.0)
    counts_of(plane, 0.0, 10.02)  # what the flat frame adds to a disc of 10 deg
    for far in (11.0, np.nan):
        with pytest.raises(ValueError, match="outside the disc"):
            counts_of(plane, 0.0, far)
