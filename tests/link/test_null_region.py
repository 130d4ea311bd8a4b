"""Which region a candidate is held against, and the stream that is injected there."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from viamachinae.config import RoiConfig
from viamachinae.link.null_region import MAX_SIGMA, inject_line, null_region, roi_sizes
from viamachinae.sky import FramePositions

LINES = pa.table(
    {
        "region": [0.0, 0.0, 0.0, 6.0, 6.0, 6.0],
        "window": [0.0, 3.0, 6.0, 0.0, 6.0, 12.0],
        "sigma": [20.0, 2.0, 3.0, 9.0, 4.0, 3.0],
    }
)


def test_the_null_region_is_apart_quiet_and_of_equal_density() -> None:
    sizes = np.array([100, 100, 140, 101, 105, 300])
    # Row 1 overlaps, row 3 holds a line: the nearest of the others is row 4.
    assert null_region(LINES, sizes, 0, np.array([0]), 6, 6) == 4
    assert LINES["sigma"][4].as_py() < MAX_SIGMA
    assert null_region(LINES, sizes, 0, np.array([0, 4]), 6, 6) == 2
    assert null_region(LINES, sizes, 0, np.array([0, 2, 4, 5]), 6, 6) is None


def test_sizes_count_the_stars_of_each_region() -> None:
    region = np.array([0.0, 0.0, 0.0, 6.0])
    other = np.array([0.0, 5.9, 6.0, 12.5])
    sizes = roi_sizes(region, other, LINES, RoiConfig())
    assert sizes.tolist() == [2, 2, 1, 0, 0, 1]


def test_an_injected_line_is_a_line_in_the_disc() -> None:
    rng = np.random.default_rng(3)
    n = 400
    line = FramePositions(*rng.normal(0, 1, (4, n)))
    across = rng.normal(0, 0.2, n)
    found = inject_line(line, across, 10.0, (6.0, -3.0), np.random.default_rng(5))
    np.testing.assert_array_equal(found.pm_phi, line.pm_phi + 6)
    np.testing.assert_array_equal(found.pm_lam, line.pm_lam - 3)
    places = np.column_stack([found.phi, found.lam])
    assert np.hypot(*places.T).max() <= 10
    narrow, wide = np.sqrt(np.linalg.eigvalsh(np.cov(places.T)))
    assert 0.17 < narrow < 0.23
    assert wide > 4
