"""The share of injected streams that was found, by what they are like, with its interval."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from viamachinae.validate.calibration import clopper_pearson

Array = NDArray[np.float64]

# Width of the bins of what the grid does not choose (ours): mag per square arcsec, and deg.
BINNED = {"mag_per_arcsec2": 1.0, "abs_b": 10.0}
# Columns of a table of recoveries that completeness is told by, and of the interval's shares.
AXES = ("n_stars", "n_fiducial", "width_deg", "mag_per_arcsec2", "pm_masyr", "abs_b")
FIDUCIAL_EDGES = (0, 12, 25, 50, 100, 200, 400, 800, 1600)


def completeness(recoveries: Table, level: float = 0.95) -> Table:
    """The share of streams found along each axis, over all values of the others.

    Parameters
    ----------
    recoveries : astropy.table.Table
        With ``found`` (bool) and the columns of `AXES`.
    level : float
        Confidence of the intervals.

    Returns
    -------
    astropy.table.Table
        axis, low and high (ends of the bin; equal where the grid has values), n, n_found, share,
        share_low, share_high; bins without an injection are left out.
    """
    rows = []
    found = np.asarray(recoveries["found"], dtype=np.bool_)
    for axis in AXES:
        values = np.asarray(recoveries[axis], dtype=np.float64)
        for low, high, inside in _bins(axis, values):
            n, n_found = int(inside.sum()), int(found[inside].sum())
            rows.append((axis, low, high, n, n_found, n_found / n))
    names = ["axis", "low", "high", "n", "n_found", "share"]
    kinds: list[type] = [str, np.float64, np.float64, np.int64, np.int64, np.float64]
    table = Table(rows=rows or None, names=names, dtype=kinds)
    counts = [np.asarray(table[name], dtype=np.int64) for name in ("n_found", "n")]
    table["share_low"], table["share_high"] = clopper_pearson(counts[0], counts[1], level)
    table.meta["level"] = level
    return table


def _bins(axis: str, values: Array) -> Iterator[tuple[float, float, NDArray[np.bool_]]]:
    """Ends of the bins of an axis that hold values, and the rows in them."""
    if axis == "n_fiducial":
        edges = np.append(FIDUCIAL_EDGES, np.inf)
    elif axis in BINNED:
        step = BINNED[axis]
        edges = np.arange(np.floor(values.min() / step), np.floor(values.max() / step) + 2) * step
    else:
        for value in np.unique(values):
            yield float(value), float(value), values == value
        return
    for low, high in itertools.pairwise(edges):
        inside = (values >= low) & (values < high)
        if inside.any():
            yield float(low), float(high), inside


def curves(recoveries: Table, level: float) -> Mapping[float, Table]:
    """By width, the completeness against the number of stars: rows of `completeness`."""
    by_width = {}
    for width in np.unique(np.asarray(recoveries["width_deg"])):
        of_width = completeness(recoveries[np.asarray(recoveries["width_deg"]) == width], level)
        by_width[float(width)] = of_width[np.asarray(of_width["axis"]) == "n_stars"]
    return by_width
