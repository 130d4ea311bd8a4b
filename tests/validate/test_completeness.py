from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table
from scipy.stats import binomtest

from viamachinae.validate.calibration import clopper_pearson
from viamachinae.validate.completeness import AXES, completeness
from viamachinae.validate.figures import completeness_figure


@pytest.mark.parametrize("level", [0.68, 0.95])
@pytest.mark.parametrize(("k", "n"), [(0, 1), (0, 20), (1, 20), (13, 20), (20, 20), (7, 300)])
def test_intervals_are_those_of_scipy(k: int, n: int, level: float) -> None:
    expected = binomtest(k, n).proportion_ci(level, method="exact")
    found = clopper_pearson(np.array([k, 0]), np.array([n, n]), level)
    np.testing.assert_allclose([ends[0] for ends in found], expected, rtol=1e-9)


def test_of_no_trials_nothing_is_known() -> None:
    assert clopper_pearson(np.array(0), 0, 0.95) == (0.0, 1.0)


@pytest.fixture
def recoveries() -> Table:
    rng = np.random.default_rng(2)
    n = np.repeat([50, 100, 200], 10)
    table = Table({name: rng.uniform(30, 35, 30) for name in AXES})
    table["n_stars"], table["width_deg"] = n, np.tile([0.1, 0.5], 15)
    table["found"] = n >= 100
    return table


def test_shares_are_counted_by_axis(recoveries: Table) -> None:
    shares = completeness(recoveries)
    by_number = shares[shares["axis"] == "n_stars"]
    assert by_number["share"].tolist() == [0, 1, 1]
    assert by_number["n"].tolist() == [10, 10, 10]
    for axis in AXES:
        assert shares["n"][shares["axis"] == axis].sum() == 30
    light = shares[shares["axis"] == "mag_per_arcsec2"]
    assert set(light["high"] - light["low"]) == {1.0}


def test_the_figure_has_a_curve_a_width(recoveries: Table) -> None:
    left, right = completeness_figure(recoveries, 0.95).axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == [
        "0.1° wide", "0.5° wide",
    ]  # fmt: skip
    assert len(right.containers) == 1
