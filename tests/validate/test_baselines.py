"""The baselines find a bright line, and nothing strong where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from viamachinae.config import HoughFinderConfig, LineConfig, MatchedFilterConfig, RidgeConfig
from viamachinae.link.hough import hough_plane
from viamachinae.simulate.populations import Population
from viamachinae.validate.baselines import FoundLine, distinct, hough_finder, matched_filter

RADIUS, N, N_STREAM = 8.0, 8000, 250


def sky(with_stream: bool, seed: int) -> dict[str, np.ndarray]:
    """Even stars of wide colours, magnitudes and motions; a line of old stars at 10 kpc."""
    rng = np.random.default_rng(seed)
    rho, turn = RADIUS * np.sqrt(rng.random(N)), rng.uniform(0, 2 * np.pi, N)
    stars = {"x": rho * np.cos(turn), "y": rho * np.sin(turn)}
    stars |= {"g": rng.uniform(16, 20.2, N), "c": rng.uniform(0.3, 1.3, N)}
    stars |= {"u": rng.normal(0, 6, N), "v": rng.normal(0, 6, N)}
    if with_stream:
        n, angle = N_STREAM, np.radians(30)
        along, across = rng.uniform(-7, 7, n), 1.0 + 0.2 * rng.standard_normal(n)
        population = Population.mixture(-2.0, 12.5)
        g_abs, colour = population.draw(rng, np.full(20 * n, population.share_to_draw(5.2)))
        bright = np.flatnonzero(g_abs < 5.2)[:n]
        rows = slice(0, n)
        stars["x"][rows] = along * np.cos(angle) - across * np.sin(angle)
        stars["y"][rows] = along * np.sin(angle) + across * np.cos(angle)
        stars["g"][rows], stars["c"][rows] = g_abs[bright] + 15, colour[bright]
        stars["u"][rows], stars["v"][rows] = -8 + 0.3 * rng.standard_normal((2, n))
    return stars


def found_by(method: str, s: dict[str, np.ndarray]) -> list[FoundLine]:
    if method == "hough":
        plane = hough_plane(LineConfig(), RADIUS)
        return hough_finder(s["x"], s["y"], s["u"], s["v"], plane, HoughFinderConfig())
    ridge = RidgeConfig(distance_kpc=(8, 13))
    return matched_filter(s["x"], s["y"], s["g"], s["c"], RADIUS, MatchedFilterConfig(), ridge)


@pytest.mark.parametrize("method", ["hough", "matched-filter"])
def test_a_bright_line_is_found_with_its_stars(method: str) -> None:
    best = found_by(method, sky(with_stream=True, seed=1))[0]
    assert best.sigma > 7
    mine = np.count_nonzero(best.rows < N_STREAM)
    assert mine > 0.5 * N_STREAM
    assert mine > 0.5 * len(best.rows)


@pytest.mark.parametrize("method", ["hough", "matched-filter"])
def test_an_empty_sky_gives_nothing(method: str) -> None:
    assert [found_by(method, sky(with_stream=False, seed=s)) for s in range(3)] == [[]] * 3


def test_a_line_that_shares_its_stars_with_a_better_one_is_not_told_twice() -> None:
    lines = [FoundLine(7.0, np.arange(10)), FoundLine(9.0, np.arange(4, 20)),
             FoundLine(8.0, np.arange(30, 40)), FoundLine(5.0, np.arange(50, 60))]  # fmt: skip
    assert [one.sigma for one in distinct(lines, 6.0, 10)] == [9.0, 8.0]
    assert [one.sigma for one in distinct(lines, 6.0, 1)] == [9.0]
