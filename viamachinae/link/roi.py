"""Regions of interest: a signal region times a window of the other proper motion (VM1)."""

from __future__ import annotations

from collections.abc import Mapping
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
    source_id : int64 array of shape (n_rois, n_stars)
        The stars of highest score, best first.
    phi, lam, pm_phi, pm_lam, log_ratio : float64 arrays of shape (n_rois, n_stars)
        Of these stars: deg, mas/yr, and log of the score in the signal region.
    on_line : bool array of shape (n_rois, n_stars)
        Whether the star lies on the ROI's line.
    """

    lines: pa.Table
    source_id: Ints
    phi: Floats
    lam: Floats
    pm_phi: Floats
    pm_lam: Floats
    log_ratio: Floats
    on_line: Bools


class _Chosen(NamedTuple):
    """ROIs of a scan: edges of shape (n_rois,), star rows and scores (n_rois, n_stars)."""

    scan: list[Scan]
    region: Floats
    window: Floats
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
    none = _Chosen([], np.empty(0), np.empty(0), *_no_stars(config.roi.n_stars))
    region, window, row, log_ratio = (
        np.concatenate([getattr(c, name) for c in (*chosen, none)])
        for name in ("region", "window", "row", "log_ratio")
    )
    column = {
        name: np.asarray(stars[name], dtype=np.float64)[row]
        for name in ("phi", "lam", "pm_phi", "pm_lam")
    }
    sets = np.repeat(np.arange(len(row)), config.roi.n_stars)
    found = find_lines(plane, column["phi"].ravel(), column["lam"].ravel(), sets, len(row))
    on_line = found.on_line.reshape(row.shape)
    edges = {"scan": [s for c in chosen for s in c.scan], "region": region, "window": window}
    moments = {
        f"{name}_{moment}": value
        for name in ("pm_phi", "pm_lam")
        for moment, value in zip(("mean", "std"), _moments(column[name], on_line), strict=True)
    }
    clumps = _clump_shares(column["phi"], column["lam"], on_line, config.clumps.radius_deg)
    lines = pa.table(
        {**edges, **_line_columns(found), **moments, "clump_share": clumps}, schema=LINES_SCHEMA
    )
    source_id = np.asarray(stars["source_id"], dtype=np.int64)[row]
    return Rois(lines, source_id, **column, log_ratio=log_ratio, on_line=on_line)


def _no_stars(n_stars: int) -> tuple[Ints, Floats]:
    return np.empty((0, n_stars), dtype=np.int64), np.empty((0, n_stars))


def _choose_in_scan(stars: Table, scan: Scan, scores: pa.Table, config: RoiConfig) -> _Chosen:
    """All ROIs of one scan, by region and window."""
    source_id = np.asarray(scores["source_id"], dtype=np.int64)
    star = rows_of(stars, source_id, f"scores.parquet of the scan {scan}")
    other_pm = np.asarray(stars[OTHER_PM[scan]], dtype=np.float64)[star]
    region_of_row = np.asarray(scores["region"], dtype=np.float64)
    log_ratio = np.asarray(scores["log_ratio"], dtype=np.float64)
    region, window, row = [], [], [_no_stars(config.n_stars)[0]]
    for edge in np.unique(region_of_row):
        inside = np.flatnonzero(region_of_row == edge)
        windows, best = choose_stars(other_pm[inside], log_ratio[inside], source_id[inside], config)
        region += [edge] * len(windows)
        window += [*windows]
        row.append(inside[best])
    rows = np.concatenate(row)
    return _Chosen(
        [scan] * len(rows), np.array(region), np.array(window), star[rows], log_ratio[rows]
    )


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
) -> tuple[Floats, Ints]:
    """The windows of one signal region that hold enough stars, and the best stars of each.

    Windows begin at integer multiples of the stride and are half-open. A star whose score is
    NaN or zero (log_ratio -inf) is never chosen and does not count; stars of equal score are
    taken in the order of their source_id.

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
    float64 array of shape (n_windows,), int64 array of shape (n_windows, config.n_stars)
        Lower edges of the windows (mas/yr), and positions of their stars, best first.
    """
    usable = np.flatnonzero(log_ratio > -np.inf)
    order = usable[np.lexsort((source_id[usable], -log_ratio[usable]))]
    none, chosen = _no_stars(config.n_stars)[0], []
    if not len(order):
        return np.empty(0), none
    pm = other_pm[order]
    first = np.floor((pm.min() - config.window_masyr) / config.stride_masyr)
    last = np.floor(pm.max() / config.stride_masyr)
    windows = []
    for edge in np.arange(first, last + 1) * config.stride_masyr:
        inside = np.flatnonzero((pm >= edge) & (pm < edge + config.window_masyr))
        if len(inside) >= config.n_stars:
            windows.append(edge)
            chosen.append(order[inside[: config.n_stars]])
    return np.array(windows, dtype=np.float64), np.stack(chosen) if chosen else none


def _line_columns(found: Lines) -> dict[str, Floats | Ints]:
    return {
        "theta": found.theta_deg,
        "r": found.r_deg,
        "sigma": found.sigma,
        "n_line": found.n_line,
    }


def _clump_shares(phi: Floats, lam: Floats, on_line: Bools, radius_deg: float) -> Floats:
    """`densest_share` of the line stars of each ROI, on the flat patch."""
    points = np.stack([phi, lam], axis=-1)
    shares = [densest_share(p[on], radius_deg) for p, on in zip(points, on_line, strict=True)]
    return np.array(shares, dtype=np.float64)


def _moments(values: Floats, chosen: Bools) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the chosen values of each row; NaN where none is chosen."""
    n = np.where(chosen.any(axis=1), chosen.sum(axis=1), np.nan)
    mean = np.where(chosen, values, 0.0).sum(axis=1) / n
    deviation = np.where(chosen, values - mean[:, None], 0.0)
    return mean, np.sqrt((deviation**2).sum(axis=1) / n)
