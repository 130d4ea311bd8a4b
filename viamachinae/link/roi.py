"""Regions of interest: a signal region times a window of the other proper motion (VM1)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from astropy.table import Table

from viamachinae.config import LinkConfig, RoiConfig, Scan
from viamachinae.errors import BadInputError
from viamachinae.link.clumps import densest_share
from viamachinae.link.hough import Bools, Floats, HoughPlane, Ints
from viamachinae.link.lines import Lines, find_lines
from viamachinae.score.features import OTHER_PM

DEG, MASYR = {"unit": "deg"}, {"unit": "mas/yr"}
LINES_SCHEMA = pa.schema(
    [
        pa.field("scan", pa.string()),
        pa.field("region", pa.float64(), metadata=MASYR),
        pa.field("window", pa.float64(), metadata=MASYR),
        pa.field("theta", pa.float64(), metadata=DEG),
        pa.field("r", pa.float64(), metadata=DEG),
        pa.field("sigma", pa.float64()),
        pa.field("n_line", pa.int64()),
        pa.field("pm_phi_mean", pa.float64(), metadata=MASYR),
        pa.field("pm_phi_std", pa.float64(), metadata=MASYR),
        pa.field("pm_lam_mean", pa.float64(), metadata=MASYR),
        pa.field("pm_lam_std", pa.float64(), metadata=MASYR),
        pa.field("clump_share", pa.float64()),
    ]
)


class Rois(NamedTuple):
    """The regions of interest of a patch, their stars and their lines.

    Attributes
    ----------
    lines : pyarrow.Table
        One row an ROI, of `LINES_SCHEMA`: scan, lower edges of signal region and window, line
        (theta, r, sigma_L, stars on it), mean and standard deviation of the proper motions of
        the stars on the line, the largest share of these in a disc of the size of a clump. An
        ROI is known by its row.
    begin : int64 array of shape (n_rois + 1,)
        The stars of ROI i are the entries from begin[i] to begin[i + 1], best first.
    source_id : int64 array of shape (n_entries,)
        The stars of highest score of each ROI, one ROI after the other.
    phi, lam, pm_phi, pm_lam, log_ratio : float64 arrays of shape (n_entries,)
        Of these stars: deg, mas/yr, and log of the score in the signal region.
    on_line : bool array of shape (n_entries,)
        Whether the star lies on its ROI's line.
    """

    lines: pa.Table
    begin: Ints
    source_id: Ints
    phi: Floats
    lam: Floats
    pm_phi: Floats
    pm_lam: Floats
    log_ratio: Floats
    on_line: Bools

    def entries(self, rois: Ints) -> Ints:
        """The entries of some ROIs, one after the other."""
        runs = [np.arange(self.begin[roi], self.begin[roi + 1]) for roi in rois]
        return np.concatenate([np.empty(0, dtype=np.int64), *runs])


class _Chosen(NamedTuple):
    """ROIs of a scan: scan, edges and number of stars, then star rows and scores of all."""

    scan: list[Scan]
    region: Floats
    window: Floats
    n_stars: Ints
    row: Ints
    log_ratio: Floats


def regions_of_interest(
    stars: Table, scores: Mapping[Scan, pa.Table], config: LinkConfig, plane: HoughPlane
) -> Rois:
    """Choose the stars of each ROI of a patch and find their lines.

    Parameters
    ----------
    stars : astropy.table.Table
        Stars of the patch: source_id (int64), phi, lam (deg), pm_phi, pm_lam (mas/yr).
    scores : mapping of scan to pyarrow.Table
        One row a signal region and fiducial star: source_id, region (lower edge, mas/yr) and
        log_ratio.
    config : LinkConfig
        Windows and number of stars.
    plane : HoughPlane
        Of the evaluation disc.

    Returns
    -------
    Rois
        Ordered by scan, region and window; none where no window holds enough stars.

    Raises
    ------
    BadInputError
        If the scores name a star that `stars` lacks.
    """
    chosen = [_choose_in_scan(stars, scan, table, config.roi) for scan, table in scores.items()]
    whole, real = np.empty(0, dtype=np.int64), np.empty(0)
    none = _Chosen([], real, real, whole, whole, real)
    region, window, n_stars, row, log_ratio = (
        np.concatenate([getattr(c, name) for c in (*chosen, none)]) for name in _Chosen._fields[1:]
    )
    column = {
        name: np.asarray(stars[name], dtype=np.float64)[row]
        for name in ("phi", "lam", "pm_phi", "pm_lam")
    }
    roi = np.repeat(np.arange(len(n_stars)), n_stars)
    found = find_lines(plane, column["phi"], column["lam"], roi, len(n_stars))
    edges = {"scan": [s for c in chosen for s in c.scan], "region": region, "window": window}
    moments = {
        f"{name}_{moment}": value
        for name in ("pm_phi", "pm_lam")
        for moment, value in zip(("mean", "std"), _moments(column[name], roi, found), strict=True)
    }
    begin = np.concatenate([[0], np.cumsum(n_stars)])
    points = np.stack([column["phi"], column["lam"]], axis=-1)
    clumps = _clump_shares(points, begin, found.on_line, config.clumps.radius_deg)
    lines = pa.table(
        {**edges, **_line_columns(found), **moments, "clump_share": clumps}, schema=LINES_SCHEMA
    )
    source_id = np.asarray(stars["source_id"], dtype=np.int64)[row]
    return Rois(lines, begin, source_id, **column, log_ratio=log_ratio, on_line=found.on_line)


def _choose_in_scan(stars: Table, scan: Scan, scores: pa.Table, config: RoiConfig) -> _Chosen:
    """All ROIs of one scan, by region and window."""
    source_id = np.asarray(scores["source_id"], dtype=np.int64)
    star = rows_of(stars, source_id, f"scores.parquet of the scan {scan}")
    other_pm = np.asarray(stars[OTHER_PM[scan]], dtype=np.float64)[star]
    region_of_row = np.asarray(scores["region"], dtype=np.float64)
    log_ratio = np.asarray(scores["log_ratio"], dtype=np.float64)
    region, window, lists = list[float](), list[float](), [np.empty(0, dtype=np.int64)]
    for edge in np.unique(region_of_row):
        inside = np.flatnonzero(region_of_row == edge)
        windows, best = choose_stars(other_pm[inside], log_ratio[inside], source_id[inside], config)
        region += [edge] * len(windows)
        window += windows
        lists += [inside[one] for one in best]
    rows = np.concatenate(lists)
    n_stars = np.array([len(one) for one in lists[1:]], dtype=np.int64)
    edges = np.array(region, dtype=np.float64), np.array(window, dtype=np.float64)
    return _Chosen([scan] * len(region), *edges, n_stars, star[rows], log_ratio[rows])


def rows_of(stars: Table, wanted: Ints, named_in: str) -> Ints:
    """Row in `stars` of each wanted source_id, shape (n,).

    Raises
    ------
    BadInputError
        If one is missing there; the message says that `named_in` holds it.
    """
    catalogue = np.asarray(stars["source_id"], dtype=np.int64)
    order = np.argsort(catalogue, kind="stable")
    place = np.searchsorted(catalogue, wanted, sorter=order)
    found = place < len(order)
    found[found] = catalogue[order[place[found]]] == wanted[found]
    if not found.all():
        raise BadInputError(
            f"{named_in} holds a source_id that stars.parquet of its patch lacks; "
            "run the patch again from its stage preprocess on"
        )
    return order[place]


def choose_stars(
    other_pm: Floats, log_ratio: Floats, source_id: Ints, config: RoiConfig
) -> tuple[list[float], list[Ints]]:
    """The windows of one signal region that hold enough stars, and the best stars of each.

    Windows begin at integer multiples of the stride and are half-open. A star whose score is
    NaN or zero (log_ratio -inf) is never chosen and does not count; stars of equal score are
    taken in the order of their source_id. Where few stars move as a stream does, a list as long
    as elsewhere would be all of them, whatever their score: hence the largest share.

    Parameters
    ----------
    other_pm, log_ratio : float64 arrays of shape (n,)
        Proper motion that is not scanned (mas/yr), and log of the score.
    source_id : int64 array of shape (n,)
        Of the stars.
    config : RoiConfig
        Width and stride of the windows, stars per ROI.

    Returns
    -------
    list of float, list of int64 arrays
        Lower edges of the windows (mas/yr), and positions of their stars, best first.
    """
    usable = np.flatnonzero(log_ratio > -np.inf)
    order = usable[np.lexsort((source_id[usable], -log_ratio[usable]))]
    windows, chosen = list[float](), list[Ints]()
    if not len(order):
        return windows, chosen
    pm = other_pm[order]
    first = np.floor((pm.min() - config.window_masyr) / config.stride_masyr)
    last = np.floor(pm.max() / config.stride_masyr)
    for edge in np.arange(first, last + 1) * config.stride_masyr:
        inside = np.flatnonzero((pm >= edge) & (pm < edge + config.window_masyr))
        n_stars = min(config.n_stars, int(config.max_share * len(inside)))
        if n_stars >= config.min_stars:
            windows.append(float(edge))
            chosen.append(order[inside[:n_stars]])
    return windows, chosen


def _line_columns(found: Lines) -> dict[str, Floats | Ints]:
    return {
        "theta": found.theta_deg,
        "r": found.r_deg,
        "sigma": found.sigma,
        "n_line": found.n_line,
    }


def _clump_shares(points: Floats, begin: Ints, on_line: Bools, radius_deg: float) -> Floats:
    """`densest_share` of the line stars of each ROI, on the flat patch."""
    runs = [slice(first, last) for first, last in pairwise(begin)]
    shares = [densest_share(points[run][on_line[run]], radius_deg) for run in runs]
    return np.array(shares, dtype=np.float64)


def _moments(values: Floats, roi: Ints, found: Lines) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the values of each ROI's line; NaN where no star is on it."""
    own, values = roi[found.on_line], values[found.on_line]
    n = np.where(found.n_line > 0, found.n_line, np.nan)
    mean = np.bincount(own, values, len(n)) / n
    variance = np.bincount(own, (values - mean[own]) ** 2, len(n)) / n
    return mean, np.sqrt(variance)
