"""Positions dealt out anew: what stays by cell, and what of a stream is left."""

from __future__ import annotations

import numpy as np
import pytest

from viamachinae.validate.shuffle import cell_numbers, deal, spread


def test_cells_are_bins_and_missing_values_are_apart() -> None:
    pm = np.array([-0.1, 0.0, 1.9, 2.0, np.nan, np.nan])
    colour = np.array([0.2, 0.2, 0.3, 0.2, 0.2, np.nan])
    cell = cell_numbers([pm, colour], [2.0, 0.5])
    assert cell[1] == cell[2]
    assert len(set(cell.tolist())) == 5
    every = cell_numbers([pm], [np.inf])
    assert len(set(every[:4].tolist())) == 1
    assert every[4] == every[5] != every[0]


def test_a_width_for_each_coordinate() -> None:
    with pytest.raises(ValueError, match="zip"):
        cell_numbers([np.zeros(3)], [1.0, 2.0])


def test_each_cell_keeps_its_places() -> None:
    rng = np.random.default_rng(1)
    cell = rng.integers(0, 40, 2000)
    donor = deal(cell, rng)
    assert np.array_equal(np.sort(donor), np.arange(2000))
    assert np.array_equal(cell[donor], cell)
    # One of each cell's n stars, on average, gets its own place.
    assert 15 < np.sum(donor == np.arange(2000)) < 75


def test_all_permutations_of_a_cell_are_equally_likely() -> None:
    rng = np.random.default_rng(2)
    seen = [tuple(deal(np.zeros(3, dtype=np.int64), rng)) for _ in range(1200)]
    counts = [seen.count(one) for one in sorted(set(seen))]
    assert len(counts) == 6
    # 200 expected of each; chi-squared with 5 degrees of freedom stays below 20.5 at 99.9 %.
    assert sum((n - 200) ** 2 / 200 for n in counts) < 20.5


@pytest.mark.parametrize(("pm_width", "kept"), [(np.inf, 0.05), (1.0, 0.5)])
def test_a_line_is_left_to_its_share_of_the_cell(pm_width: float, kept: float) -> None:
    """A stream of n in a cell of N leaves n/N of the cell's stars on its line."""
    rng = np.random.default_rng(3)
    n_field, n_stream = 19_000, 1000
    y = np.concatenate([rng.uniform(-10, 10, n_field), rng.normal(0, 0.05, n_stream)])
    # One of nineteen field stars moves as the stream does.
    pm = np.concatenate([np.linspace(0, 19, n_field, endpoint=False), np.full(n_stream, 9.5)])
    dealt = y[deal(cell_numbers([pm], [pm_width]), rng)]
    on_line = np.abs(dealt[n_field:]) < 0.2
    assert on_line.mean() == pytest.approx(kept + (1 - kept) * 0.02, abs=0.04)


def test_spread_stars_fill_the_footprint_evenly() -> None:
    rng = np.random.default_rng(4)
    # A strip with a dense line along its middle.
    ra = rng.uniform(100, 110, 20_000)
    dec = np.concatenate([rng.uniform(-2, 2, 10_000), rng.normal(0, 0.05, 10_000)])
    new_ra, new_dec = spread(ra, dec, 128, rng)
    # Its edges stay to a pixel of 0.46 deg, and the line is gone.
    assert 99.3 < new_ra.min() < 100 < 110 < new_ra.max() < 110.7
    assert 2 < np.abs(new_dec).max() < 2.7
    within = np.histogram(new_dec, np.arange(-1.5, 1.6, 0.5))[0]
    assert within.max() < 1.1 * within.min()
