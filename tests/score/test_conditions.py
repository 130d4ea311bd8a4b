"""The density of a condition: against scipy's estimate, within its range, and unbiased at edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import gaussian_kde, kstest

from viamachinae.score.conditions import ConditionDensity


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).normal(1.0, 0.5, 4000)


def test_it_agrees_with_a_kernel_density_estimate(values):
    at = np.linspace(0, 2, 50)
    expected = gaussian_kde(values, bw_method=len(values) ** -0.2)(at)
    found = np.exp(ConditionDensity.fit(values).log_pdf(at))
    np.testing.assert_allclose(found, expected, rtol=0.03)


def test_it_is_a_density(values):
    density = ConditionDensity.fit(values)
    at = np.linspace(density.lower, density.upper, 200_001)
    assert np.trapezoid(np.exp(density.log_pdf(at)), at) == pytest.approx(1, abs=1e-3)
    assert np.isfinite(density.log_pdf(np.array([-100.0, 100.0]))).all()


def test_draws_stay_within_the_sample_and_follow_it(values):
    density = ConditionDensity.fit(values)
    drawn = density.draw(100_000, np.random.default_rng(1))
    assert drawn.min() >= values.min()
    assert drawn.max() <= values.max()
    assert drawn.mean() == pytest.approx(values.mean(), abs=0.02)


def test_edges_are_not_thinned():
    """The stars of a signal region end at its edges, and so must the draws."""
    values = np.random.default_rng(0).uniform(-3, 3, 20_000)
    drawn = ConditionDensity.fit(values).draw(20_000, np.random.default_rng(1))
    assert kstest(drawn, "uniform", (-3, 6)).pvalue > 1e-3


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0]])
def test_one_value_has_no_density(values):
    with pytest.raises(ValueError, match="at least two values"):
        ConditionDensity.fit(np.array(values))
