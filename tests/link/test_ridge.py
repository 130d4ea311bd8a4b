"""Distances and scores of made-up streams, of no stream, and of GD-1's members."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import kstest

from viamachinae.catalog.ridge_lines import ridge_at, ridge_line
from viamachinae.config import RidgeConfig
from viamachinae.link.ridge import colour_error, fit_ridge, ridge_weights
from viamachinae.simulate.observation import distance_modulus
from viamachinae.simulate.populations import Population

CONFIG = RidgeConfig()


def population(
    rng: np.random.Generator, n: int, distance_kpc: float
) -> tuple[np.ndarray, np.ndarray]:
    """Fiducial stars of an old population, with photometric errors."""
    old, limit = Population.mixture(-2.0, 12.5), 20.2
    modulus = float(distance_modulus(distance_kpc))
    share = np.full(60 * n, old.share_to_draw(np.array([limit - modulus]))[0])
    g_abs, bp_rp = old.draw(rng, share)
    g_mag = g_abs + modulus
    bp_rp = bp_rp + colour_error(g_mag) * rng.standard_normal(len(g_mag))
    seen = np.flatnonzero((g_mag < limit) & (bp_rp > 0.5) & (bp_rp < 1.0))[:n]
    assert len(seen) == n
    return g_mag[seen], bp_rp[seen]


def field(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Fiducial stars that fill the diagram, more of them faint."""
    return 14 + 6.2 * np.sqrt(rng.random(n)), rng.uniform(0.5, 1.0, n)


@pytest.mark.parametrize("distance_kpc", [6.0, 10.0, 20.0])
def test_a_stream_has_its_distance_and_a_high_score(distance_kpc: float) -> None:
    rng = np.random.default_rng(6)
    distances, scores = [], []
    for _ in range(15):
        (g, c), (g_off, c_off) = population(rng, 40, distance_kpc), field(rng, 120)
        on_line = np.arange(160) < 40
        fit = fit_ridge(np.append(g, g_off), np.append(c, c_off), on_line, CONFIG, rng)
        distances.append(fit.distance_kpc)
        scores.append(fit.score)
    assert np.median(distances) == pytest.approx(distance_kpc, rel=0.1)
    assert np.median(scores) > 0.99


def test_the_score_of_no_stream_is_uniform() -> None:
    rng = np.random.default_rng(7)
    scores = []
    for _ in range(200):
        g, c = field(rng, 100)
        scores.append(fit_ridge(g, c, np.arange(100) < 30, CONFIG, rng).score)
    assert kstest(scores, "uniform").pvalue > 0.01


def test_gd1_members_stand_at_their_distance(sky_data: Path) -> None:
    # Heliocentric distance of GD-1: 7 to 9 kpc in this part (Koposov, Rix & Hogg 2010, ApJ 712,
    # 260; Price-Whelan & Bonaca 2018); an isochrone of fixed metallicity may err by 10 %.
    table = pq.read_table(sky_data / "hybrid_gd1_r10.parquet")
    g, c, label = (
        table[name].to_numpy(zero_copy_only=False) for name in ("phot_g_mean_mag", "bp_rp", "label")
    )
    fiducial = (g < 20.2) & (c > 0.5) & (c < 1.0)
    rng = np.random.default_rng(2)
    distances, scores = [], []
    for _ in range(15):
        stream = rng.choice(np.flatnonzero(fiducial & (label == 1)), 40, replace=False)
        other = rng.choice(np.flatnonzero(fiducial & (label == 0)), 110, replace=False)
        row = np.append(stream, other)
        fit = fit_ridge(g[row], c[row], np.arange(150) < 50, CONFIG, rng)
        distances.append(fit.distance_kpc)
        scores.append(fit.score)
    assert 6.3 < np.median(distances) < 9.9
    assert np.median(scores) > 0.99


def test_weights_are_one_on_the_ridge_and_none_outside_it() -> None:
    from viamachinae.catalog.ridge_lines import ridge_line

    line = ridge_line(CONFIG.feh, CONFIG.age_gyr)
    dwarfs = line.branch == 0
    g, c = line.g_abs[dwarfs] + 14.0, line.bp_rp[dwarfs]
    np.testing.assert_allclose(ridge_weights(g, c, np.array([14.0]), CONFIG), 1.0, atol=1e-3)
    width = np.hypot(CONFIG.colour_width, colour_error(g))
    beside = ridge_weights(g, c + 2 * width, np.array([14.0]), CONFIG)
    np.testing.assert_allclose(beside, np.exp(-2), rtol=1e-2)
    assert ridge_weights(np.array([5.0]), np.array([0.8]), np.array([14.0]), CONFIG)[0, 0] == 0


def test_too_few_stars_give_nan() -> None:
    rng = np.random.default_rng(0)
    g, c = field(rng, 30)
    on_line = np.arange(30) < 12
    assert np.isfinite(fit_ridge(g, c, on_line, CONFIG, rng).score)
    c[:3] = np.nan
    assert np.isnan(fit_ridge(g, c, on_line, CONFIG, rng)).all()
    assert np.isnan(fit_ridge(g[:12], c[:12], np.ones(12, dtype=bool), CONFIG, rng)).all()


def test_a_ridge_line_stands_at_its_distance_modulus() -> None:
    line, ridge = ridge_line(-2.0, 12.5), ridge_at(-2.0, 12.5, 10.0)
    # 10 kpc: a modulus of 15 mag. The tip of the giant branch is the brightest point.
    giants = line.g_abs[line.branch <= 1]
    assert ridge.g_mag[0] == pytest.approx(giants.min() + 15)
    assert ridge.g_mag[-1] == pytest.approx(giants.max() + 15)
    assert np.all(np.diff(ridge.g_mag) >= 0)
