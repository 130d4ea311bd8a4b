"""Profiles across and along a line of known richness."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from viamachinae.inspect.view import LineView, along_and_across, profile_across, profile_along


def test_the_line_runs_where_it_was_found(view: LineView) -> None:
    along, across = along_and_across(view)
    # theta = 90 deg: r = phi, and along the line lam grows.
    np.testing.assert_allclose(across, view.listed.phi - 2.0, atol=1e-12)
    np.testing.assert_allclose(along, view.listed.lam, atol=1e-12)


def test_the_excess_is_that_of_the_line(view: LineView) -> None:
    across = profile_across(view)
    middle = (across.edges_deg[1:] + across.edges_deg[:-1]) / 2
    excess = across.excess[np.abs(middle) < view.half_width_deg].sum()
    assert excess == pytest.approx(40, abs=6)
    along = profile_along(view)
    assert along.excess.sum() == pytest.approx(40, abs=6)
    assert (across.error >= 0).all()


def test_even_stars_have_no_profile(view: LineView) -> None:
    rng = np.random.default_rng(2)
    radius, angle = 10 * np.sqrt(rng.uniform(size=20000)), rng.uniform(0, 2 * np.pi, 20000)
    phi, lam = radius * np.cos(angle), radius * np.sin(angle)
    listed = view.listed._replace(phi=phi, lam=lam)
    even = replace(view, listed=listed, on_line=np.abs(phi - 2) < 0.5)
    for profile in (profile_across(even), profile_along(even)):
        used = profile.error > 0
        pull = profile.excess[used] / profile.error[used]
        assert np.abs(pull).max() < 4
        assert np.mean(pull**2) < 2
