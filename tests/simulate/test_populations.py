from pathlib import Path

import numpy as np
import pytest

from viamachinae.catalog.ridge_lines import ridge_line
from viamachinae.simulate.populations import (
    DISC_WIDTH,
    SPHEROID_WIDTH,
    Population,
    system_number,
)


def test_number_of_systems_integrates_chabriers_function() -> None:
    log_mass = np.linspace(np.log10(0.09), np.log10(2.0), 20001)
    lognormal = np.exp(-0.5 * ((log_mass - np.log10(0.22)) / 0.57) ** 2)
    at_one = np.exp(-0.5 * (np.log10(0.22) / 0.57) ** 2)
    density = np.where(log_mass < 0, lognormal, at_one * 10 ** (-1.3 * log_mass))
    middles = (density[1:] + density[:-1]) / 2
    expected = np.concatenate([[0], np.cumsum(middles * np.diff(log_mass))])
    number = system_number(10**log_mass, DISC_WIDTH)
    number = number - number[0]
    np.testing.assert_allclose(number / number[-1], expected / expected[-1], atol=2e-4)


@pytest.mark.parametrize(
    ("z", "log_age"), [(0.0008, 10.05), (0.0014, 9.9), (0.003, 9.95), (0.01 * 0.6, 9.7)]
)
def test_dwarfs_match_isochrones_that_the_table_does_not_hold(
    sky_data: Path, z: float, log_age: float
) -> None:
    with np.load(sky_data / "parsec_isochrones_gaia.npz", allow_pickle=False) as grid:
        z = np.unique(grid["Z"])[np.argmin(np.abs(np.unique(grid["Z"]) - z))]
        ages = np.unique(grid["logage"])
        log_age = ages[np.argmin(np.abs(ages - log_age))]
        on = (grid["Z"] == z) & (grid["logage"] == log_age) & (grid["label"] == 0)
        g_abs, colour = grid["G"][on], (grid["BP"] - grid["RP"])[on]
    line = ridge_line(np.log10(z / 0.0152), 10 ** (log_age - 9))
    dwarf = line.branch == 0
    turnoff = np.argmin(np.where(g_abs > 0, colour, np.inf))
    below = np.arange(len(g_abs)) < turnoff
    at = np.linspace(g_abs[turnoff] + 0.7, 12.0, 60)
    expected = np.interp(at, g_abs[below][::-1], colour[below][::-1])
    found = np.interp(at, line.g_abs[dwarf][::-1], line.bp_rp[dwarf][::-1])
    np.testing.assert_allclose(found, expected, atol=0.05)
    giants = (line.branch == 1) & (line.g_abs < 2)
    above = (np.arange(len(g_abs)) > turnoff) & (g_abs < 2.5)
    at = np.linspace(-1.5, 1.5, 20)
    expected = np.interp(at, g_abs[above][::-1], colour[above][::-1])
    found = np.interp(at, line.g_abs[giants][::-1], line.bp_rp[giants][::-1])
    np.testing.assert_allclose(found, expected, atol=0.08)


@pytest.fixture(scope="module")
def old() -> Population:
    return Population.mixture([-2.0], [12.0], SPHEROID_WIDTH)


def test_draws_follow_the_luminosity_function(old: Population) -> None:
    rng = np.random.default_rng(1)
    g_abs, colour = old.draw(rng, np.ones(200_000))
    assert np.isfinite(colour).all()
    for limit in (3.0, 5.0, 7.0, 9.0, 11.0):
        share = float(old.share_brighter(limit))
        error = np.sqrt(share * (1 - share) / len(g_abs))
        assert abs(np.mean(g_abs < limit) - share) < 4 * error


def test_share_to_draw_reaches_all_stars_above_the_limit(old: Population) -> None:
    limit = np.linspace(-3, 14, 200)
    assert (old.share_to_draw(limit) >= old.share_brighter(limit) - 1e-12).all()
    drawn, _ = old.draw(np.random.default_rng(2), np.full(50_000, float(old.share_to_draw(4.0))))
    expected = float(old.share_brighter(4.0) / old.share_to_draw(4.0))
    assert np.mean(drawn <= 4.0) == pytest.approx(expected, abs=0.01)


def test_old_metal_poor_turnoff_is_where_globular_clusters_have_it() -> None:
    # M92, [Fe/H] = -2.3: turnoff at BP - RP = 0.6 and M_G = 3.8 within 0.1 and 0.5 mag.
    line = ridge_line(-2.0, 12.5)
    turnoff = np.argmin(np.where(line.branch == 0, line.bp_rp, np.inf))
    assert line.bp_rp[turnoff] == pytest.approx(0.6, abs=0.1)
    assert line.g_abs[turnoff] == pytest.approx(3.8, abs=0.5)


def test_companions_redden_dwarfs_only() -> None:
    population = Population.mixture([-1.0], [12.0])
    assert population.slope.min() == 0
    giants = population.g_abs.max(axis=1) < 2
    assert (population.slope[giants] == 0).all()
    assert population.slope.max() > 0.1
