"""p-values, intervals and false discovery rates against scipy, published tables and themselves."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table
from scipy import stats

from viamachinae.validate.calibration import (
    COLUMNS,
    Null,
    calibrated,
    clopper_pearson,
    curve,
    expected_false,
    false_discovery_rates,
    garwood,
    local_p_values,
    scan_p_values,
)


def one_a_patch(sigma: np.ndarray) -> Null:
    return Null(sigma, np.arange(len(sigma)), len(sigma))


def test_counts_of_a_few_null_candidates() -> None:
    null = Null(np.array([9.0, 8.5, 12.0]), np.array([0, 0, 3]), n_patches=4)
    cut = np.array([8.0, 8.5, 8.6, 12.0, 12.1])
    assert null.n_above(cut).tolist() == [3, 3, 2, 1, 0]
    assert null.n_patches_above(cut).tolist() == [2, 2, 2, 1, 0]
    assert local_p_values(cut, null).tolist() == [0.6, 0.6, 0.6, 0.4, 0.2]
    assert scan_p_values(np.array([0.2]), 2)[0] == pytest.approx(1 - 0.8**2)
    # All null patches hold one: nothing can be said, and nothing warns.
    assert scan_p_values(np.array([1.0]), 3)[0] == 1.0


def test_p_values_of_scans_without_streams_are_uniform() -> None:
    """Patches alike, each with the highest of its own: KS against the uniform distribution."""
    rng = np.random.default_rng(5)
    n_patches = 20
    p_values = []
    for _ in range(400):
        null = one_a_patch(rng.gumbel(6, 1, 100 * n_patches))
        highest = rng.gumbel(6, 1, n_patches).max()
        p_values.append(scan_p_values(local_p_values(np.array([highest]), null), n_patches)[0])
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_few_null_skies_err_on_the_safe_side() -> None:
    """P(p <= a) must not exceed a however few skies there are."""
    rng = np.random.default_rng(6)
    found = []
    for _ in range(2000):
        null, highest = one_a_patch(rng.normal(size=10)), rng.normal(size=(1, 5)).max(axis=1)
        found.append(scan_p_values(local_p_values(highest, null), 5)[0])
    p_values = np.array(found)
    assert p_values.min() > 0
    for level in (0.4, 0.6, 0.8):
        assert np.mean(p_values <= level) < level + 0.03


def test_one_sky_gives_no_small_p_value() -> None:
    null = Null(np.empty(0), np.empty(0, dtype=np.int64), n_patches=200)
    p_value = scan_p_values(local_p_values(np.array([50.0]), null), 200)[0]
    assert p_value == pytest.approx(1 - np.exp(-1), abs=0.01)


def test_garwood_against_published_values() -> None:
    """Gehrels 1986 (ApJ 303, 336), tables 1 and 2, at 95 % one-sided: 90 % central."""
    low, high = garwood(np.array([0, 1, 2, 5, 10]), 0.90)
    assert low == pytest.approx([0, 0.0513, 0.355, 1.970, 5.425], abs=6e-4)
    assert high == pytest.approx([2.996, 4.744, 6.296, 10.51, 16.96], abs=6e-3)


@pytest.mark.parametrize("confidence", [0.68, 0.95])
def test_clopper_pearson_against_scipy(confidence: float) -> None:
    k, n = np.array([0, 1, 7, 19, 20]), 20
    low, high = clopper_pearson(k, n, confidence)
    for i, number in enumerate(k):
        due = stats.binomtest(int(number), n).proportion_ci(confidence, method="exact")
        assert (low[i], high[i]) == pytest.approx((due.low, due.high), rel=1e-9, abs=1e-12)


def test_rates_are_those_of_benjamini_and_hochberg() -> None:
    """Where a patch holds at most one candidate, and a patch without one has a p-value of 1."""
    rng = np.random.default_rng(7)
    n_patches = 40
    null = one_a_patch(rng.gumbel(6, 1, 300))
    sigma = np.concatenate([rng.gumbel(6, 1, 30), [12.0, 14.0, 30.0, 30.0]])
    p_local = np.ones(n_patches)
    p_local[: len(sigma)] = local_p_values(sigma, null)
    due = stats.false_discovery_control(p_local, method="bh")[: len(sigma)]
    rate = false_discovery_rates(sigma, null, n_patches)
    np.testing.assert_allclose(rate, due, rtol=1e-12)
    assert np.all(np.diff(rate[np.argsort(sigma)]) <= 0)


def test_expected_number_scales_with_the_patches() -> None:
    null = Null(np.array([8.0, 9.0, 9.0, 10.0]), np.array([0, 1, 1, 2]), n_patches=8)
    expected, low, high = expected_false(np.array([9.0]), null, 4, 0.95)
    assert expected[0] == 1.5
    # Half of Garwood's interval for a count of 3, by the relation of chi-squared and Poisson.
    assert stats.poisson.sf(2, 2 * low[0]) == pytest.approx(0.025)
    assert stats.poisson.cdf(3, 2 * high[0]) == pytest.approx(0.025)


def test_candidates_get_columns_with_meanings() -> None:
    candidates = Table({"rank": [1, 2], "sigma": [30.0, 8.5]})
    null = Null(np.array([9.0, 8.2]), np.array([0, 5]), n_patches=6)
    table = calibrated(candidates, null, 3, 0.9)
    assert table["rank"].tolist() == [1, 2]
    assert table.colnames == ["rank", "sigma", *COLUMNS]
    assert all(table[name].description for name in COLUMNS)
    assert "90%" in table["expected_false_low"].description
    assert table["expected_false"].tolist() == [0.0, 0.5]
    assert table["p_value"][0] == pytest.approx(1 - (6 / 7) ** 3)
    assert len(calibrated(candidates[:0], null, 3, 0.9)) == 0


def test_the_curve_counts_at_each_of_its_cuts() -> None:
    null = Null(np.array([9.0, 8.2, 7.0]), np.array([0, 5, 5]), n_patches=6)
    found = np.array([8.5, 30.0])
    steps = curve(found, null, 3, 8.0, 0.95)
    assert steps["cut"][:-1].tolist() == [8.0, 8.2, 8.5, 9.0, 30.0]
    for row in steps:
        assert row["n_found"] == np.sum(found >= row["cut"])
        assert row["n_null"] == np.sum(null.sigma >= row["cut"])
        assert row["low"] <= row["expected"] <= row["high"]
        assert row["share_low"] <= row["share"] <= row["share_high"]
    assert (steps["n_found"][-1], steps["n_null"][-1]) == (0, 0)
