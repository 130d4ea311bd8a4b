from __future__ import annotations

import numpy as np
from scipy.stats import binomtest

from viamachinae.validate.figures import reliability_figure
from viamachinae.validate.reliability import reliability


def test_true_probabilities_lie_on_the_diagonal() -> None:
    rng = np.random.default_rng(3)
    given = rng.random(20_000)
    table = reliability(given, rng.random(20_000) < given)
    assert table["n"].sum() == 20_000
    assert len(table) == 10
    np.testing.assert_allclose(table["share"], table["membership"], atol=0.04)
    interval = binomtest(int(table["n_real"][3]), int(table["n"][3])).proportion_ci(0.95, "exact")
    np.testing.assert_allclose([table["share_low"][3], table["share_high"][3]], interval)
    assert all(table["share_high"] - table["membership"] > -0.01)


def test_boasts_lie_below_it() -> None:
    given = np.full(100, 0.95)
    table = reliability(given, np.arange(100) < 50)
    assert (table["low"][0], table["share"][0], table["share_high"][0] < 0.95) == (0.9, 0.5, True)


def test_ends_are_counted_once_and_unknown_ones_not() -> None:
    table = reliability(np.array([0.0, 1.0, np.nan]), np.array([False, True, True]))
    assert table["n"].tolist() == [1, 1]
    assert table["share"].tolist() == [0, 1]


def test_of_no_stars_an_empty_table_and_figure() -> None:
    table = reliability(np.empty(0), np.empty(0, dtype=bool))
    assert len(table) == 0
    assert reliability_figure(table).axes[0].get_xlabel() == "membership"
