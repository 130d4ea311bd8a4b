"""Rows: slices and complements, drawn without a copy of the data."""

from __future__ import annotations

import numpy as np
import pytest

from viamachinae.flows.rows import Picked, Rows


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (Rows(2, 5), [2, 3, 4]),
        (Rows(2, 5, complement=True), [0, 1, 5, 6]),
        (Rows(0, 3, complement=True), [3, 4, 5, 6]),
        (Rows(4, 7, complement=True), [0, 1, 2, 3]),
        (Rows(3, 3), []),
        (Picked(np.array([1, 4, 6], dtype=np.int32)), [1, 4, 6]),
    ],
)
def test_rows_are_what_the_slice_says(rows, expected):
    array = np.arange(7)
    assert rows.count(7) == len(expected)
    assert np.concatenate(list(rows.parts(array))).tolist() == expected
    assert sorted(rows.shuffled(7, np.random.default_rng(0)).tolist()) == expected


def test_order_comes_from_the_generator():
    first, again, other = (
        Rows(10, 500).shuffled(600, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()
