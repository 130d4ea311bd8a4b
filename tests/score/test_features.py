"""Feature matrices: names, the other proper motion, missing values."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from viamachinae.errors import BadInputError
from viamachinae.score.features import feature_matrix


@pytest.fixture
def stars() -> Table:
    names = ["phi", "lam", "pm_phi", "pm_lam", "colour"]
    return Table({name: 10.0 * k + np.arange(3) for k, name in enumerate(names)})


def test_pm_is_the_proper_motion_that_is_not_scanned(stars):
    x, condition = feature_matrix(stars, "pm_lam", ["phi", "pm", "colour"])
    np.testing.assert_array_equal(x[0], [0, 20, 40])
    np.testing.assert_array_equal(condition[:, 0], [30, 31, 32])
    x, condition = feature_matrix(stars, "pm_phi", ["phi", "pm"])
    np.testing.assert_array_equal(x[0], [0, 30])
    assert condition.shape == (3, 1)


def test_masked_means_nan(stars):
    stars["colour"] = MaskedColumn([1.0, 2.0, 3.0], mask=[False, True, False])
    x, _ = feature_matrix(stars, "pm_lam", ["phi", "colour"])
    assert np.isnan(x[:, 1]).tolist() == [False, True, False]


def test_a_missing_column_is_named(stars):
    with pytest.raises(BadInputError, match="no column mag, which"):
        feature_matrix(stars, "pm_lam", ["phi", "mag"])
