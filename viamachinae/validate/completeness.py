"""The share of injected streams that was found, by what they are like, with its interval."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta

Array = NDArray[np.float64]

# Width of the bins of what the grid does not choose (ours): mag per square arcsec, and deg.
BINNED = {"mag_per_arcsec2": 1.0, "abs_b": 10.0}
# Columns of a table of recoveries that completeness is told by, and of the interval's shares.
AXES = ("n_stars", "n_fiducial", "width_deg", "mag_per_arcsec2", "pm_masyr", "abs_b")
FIDUCIAL_EDGES = (0, 12, 25, 50, 100, 200, 400, 800, 1600)


class Interval(NamedTuple):
    """Ends of an interval of a share: arrays of the shape of the counts."""

    low: Array
    high: Array


def clopper_pearson(n_found: ArrayLike, n: ArrayLike, level: float = 0.95) -> Interval:
    """The exact interval of a binomial share (Clopper & Pearson 1934, Biometrika 26, 404).

    Parameters
    ----------
    n_found, n : int arrays of one shape
        Successes and trials; of no trials the interval is 0 to 1.
    level : float
        Confidence.
    """
    found, trials = np.asarray(n_found), np.asarray(n)
    tail = (1 - level) / 2
    # The functions are not defined where a parameter is zero: there the end is 0 or 1.
    low = np.where(found > 0, beta.ppf(tail, np.maximum(found, 1), trials - found + 1), 0.0)
    missed = np.maximum(trials - found, 1)
    high = np.where(found < trials, beta.ppf(1 - tail, found + 1, missed), 1.0)
    return Interval(np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64))


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
    interval = clopper_pearson(table["n_found"], table["n"], level)
    table["share_low"], table["share_high"] = interval
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
