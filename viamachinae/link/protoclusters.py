"""Protoclusters: regions of interest of a patch whose stars share a line (after VM2).

The merging rule is that of VM2; its order and all details are ours. The regions of
interest (ROIs) are taken in the order of their significance. The best one that is still free
becomes a seed. All free ROIs that come from other signal regions or scans than the seed's
members, and whose line stars agree with its line stars in proper motion, are tried: their star
lists are concatenated with the seed's, duplicates kept, and the line is found anew. The one
that gives the most significant line joins, if that line is more significant than the seed's
(which is never below the ROI's own: seeds are taken best first). This repeats until none
joins; then the next seed grows from what is free. An ROI belongs to one protocluster only.
Equal significances are decided by the lower row of the ROI, so that the result is determined.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from viamachinae.config import LinkConfig
from viamachinae.link.hough import Bools, Counts, Floats, HoughPlane, Ints, box_counts, hough_curves
from viamachinae.link.lines import CHUNK, Peaks, peaks
from viamachinae.link.protostreams import protostreams
from viamachinae.link.roi import DEG, MASYR, Rois

PROTOCLUSTERS_SCHEMA = pa.schema(
    [
        pa.field("protocluster", pa.int64()),
        pa.field("protostream", pa.int64()),
        pa.field("theta", pa.float64(), metadata=DEG),
        pa.field("r", pa.float64(), metadata=DEG),
        pa.field("sigma", pa.float64()),
        pa.field("n_line", pa.int64()),
        pa.field("n_line_unique", pa.int64()),
        pa.field("pm_phi_mean", pa.float64(), metadata=MASYR),
        pa.field("pm_phi_std", pa.float64(), metadata=MASYR),
        pa.field("pm_lam_mean", pa.float64(), metadata=MASYR),
        pa.field("pm_lam_std", pa.float64(), metadata=MASYR),
        pa.field("roi", pa.list_(pa.int64())),
        pa.field("source_id", pa.list_(pa.int64())),
        pa.field("on_line", pa.list_(pa.bool_())),
        pa.field("log_ratio", pa.list_(pa.float64())),
    ]
)


class Cluster(NamedTuple):
    """ROIs whose star lists are put together, and their line.

    Attributes
    ----------
    rois : int64 array of shape (n_rois,)
        Rows of the ROIs, the seed first.
    theta_deg, r_deg, sigma : float
        The line, deg, and its significance.
    on_line : bool array of shape (n_entries,)
        Whether each entry of their lists, one after the other, lies on the line.
    """

    rois: Ints
    theta_deg: float
    r_deg: float
    sigma: float
    on_line: Bools


class _Pool(NamedTuple):
    """What is kept of each ROI while clusters grow; `free` changes as they do.

    Attributes
    ----------
    counts : int32 array of shape (n_rois, n_theta, n_r)
        Stars by box: those of a merged list are the sum.
    origin : int64 array of shape (n_rois,)
        Number of its signal region and scan.
    mean, variance : float64 arrays of shape (n_rois, 2)
        Of pm_phi and pm_lam of its line stars.
    free : bool array of shape (n_rois,)
        Whether it is in no cluster yet.
    """

    counts: Counts
    origin: Ints
    mean: Floats
    variance: Floats
    free: Bools


def find_protoclusters(rois: Rois, plane: HoughPlane, config: LinkConfig) -> pa.Table:
    """Merge the ROIs of a patch into protoclusters, and these into protostreams.

    Parameters
    ----------
    rois : Rois
        Of one patch, all scans.
    plane : HoughPlane
        The one in which the lines of `rois` were found.
    config : LinkConfig
        Its `protoclusters`, `protostreams` and `clumps`.

    Returns
    -------
    pyarrow.Table
        Of `PROTOCLUSTERS_SCHEMA`, most significant first, those of at least `min_sigma`. The
        line is (theta, r); `n_line` counts its stars with duplicates, `n_line_unique` each
        once; the moments of the proper motions are those of the line stars with duplicates;
        `roi` lists the rows of the ROIs, seed first; `source_id` each star of their lists once,
        ascending, with `on_line` and its largest `log_ratio` in these ROIs.
    """
    usable = np.ones(len(rois.lines), dtype=np.bool_)
    if config.clumps.veto:
        usable = np.asarray(rois.lines["clump_share"]) <= config.clumps.max_share
    clusters = [
        cluster
        for cluster in grow_clusters(rois, plane, config.protoclusters.max_pm_distance, usable)
        if cluster.sigma >= config.protoclusters.min_sigma
    ]
    clusters.sort(key=lambda cluster: (-cluster.sigma, cluster.rois[0]))
    rows = [{"protocluster": i, **_row(c, rois)} for i, c in enumerate(clusters)]
    return _joined(rows, config.protostreams.min_shared)


def at_least(protoclusters: pa.Table, min_sigma: float, min_shared: float) -> pa.Table:
    """What `find_protoclusters` would have given with a higher cut, from what it gave.

    Parameters
    ----------
    protoclusters : pyarrow.Table
        Of `PROTOCLUSTERS_SCHEMA`; clusters grow without regard to the cut.
    min_sigma : float
        The cut, not below that of the table.
    min_shared : float
        Share of line stars that joins two of them to a protostream.
    """
    kept = protoclusters.filter(pc.greater_equal(protoclusters["sigma"], min_sigma))
    return _joined(kept.to_pylist(), min_shared)


def _joined(rows: list[dict[str, Any]], min_shared: float) -> pa.Table:
    """Protoclusters as a table, with the numbers of their protostreams."""
    line_stars = [np.array(row["source_id"])[row["on_line"]] for row in rows]
    for row, label in zip(rows, protostreams(line_stars, min_shared), strict=True):
        row["protostream"] = int(label)
    return pa.Table.from_pylist(rows, schema=PROTOCLUSTERS_SCHEMA)


def grow_clusters(
    rois: Rois, plane: HoughPlane, max_pm_distance: float, usable: Bools | None = None
) -> list[Cluster]:
    """All clusters that the rule of this module gives, in the order of their seeds.

    Every ROI is in one of them, alone if nothing joins it; one that is not `usable` is in none.
    """
    pool = _pool(rois, plane)
    if usable is not None:
        pool.free[~usable] = False
    sigma = np.asarray(rois.lines["sigma"])
    clusters = []
    for seed in np.lexsort((np.arange(len(sigma)), -sigma)):
        if pool.free[seed]:
            clusters.append(_grow(int(seed), rois, plane, pool, max_pm_distance))
            pool.free[clusters[-1].rois] = False
    return clusters


def _pool(rois: Rois, plane: HoughPlane) -> _Pool:
    n_rois = len(rois.lines)
    counts = np.empty((n_rois, *plane.shape), dtype=np.int32)
    for roi, (first, last) in enumerate(pairwise(rois.begin)):
        curves = hough_curves(plane, rois.phi[first:last], rois.lam[first:last])
        counts[roi] = box_counts(plane, curves, np.zeros(last - first, dtype=np.int64), 1)[0]
    named = zip(rois.lines["scan"].to_pylist(), rois.lines["region"].to_pylist(), strict=True)
    numbers: dict[tuple[str, float], int] = {}
    origin = [numbers.setdefault(name, len(numbers)) for name in named]
    mean, std = (
        np.column_stack([rois.lines[f"{pm}_{moment}"] for pm in ("pm_phi", "pm_lam")])
        for moment in ("mean", "std")
    )
    free = np.ones(n_rois, dtype=np.bool_)
    return _Pool(counts, np.array(origin, dtype=np.int64), mean, std**2, free)


def _grow(seed: int, rois: Rois, plane: HoughPlane, pool: _Pool, max_pm_distance: float) -> Cluster:
    """The cluster of a seed: the best partner joins as long as the line gains from it."""
    theta, r, sigma = (rois.lines[name][seed].as_py() for name in ("theta", "r", "sigma"))
    members = np.array([seed])
    cluster = Cluster(members, theta, r, sigma, rois.on_line[rois.entries(members)])
    counts = pool.counts[seed]
    while len(partners := _partners(cluster, rois, pool, max_pm_distance)):
        merged = _merge_each(plane, counts, pool.counts, partners)
        best = int(np.argmax(merged.sigma))
        if merged.sigma[best] <= cluster.sigma:
            break
        members = np.append(cluster.rois, partners[best])
        counts = counts + pool.counts[partners[best]]
        theta_cell, r_cell = merged.theta_cell[best], merged.r_cell[best]
        entries = rois.entries(members)
        curves = hough_curves(plane, rois.phi[entries], rois.lam[entries])
        cell = np.full(len(entries), theta_cell), np.full(len(entries), r_cell)
        cluster = Cluster(
            members,
            float(plane.theta_deg[theta_cell]),
            float(plane.r_deg[r_cell]),
            float(merged.sigma[best]),
            curves.enters(*cell),
        )
    return cluster


def _partners(cluster: Cluster, rois: Rois, pool: _Pool, max_pm_distance: float) -> Ints:
    """Free ROIs of other origins that agree in proper motion with a cluster, ascending."""
    pm = _line_pm(cluster, rois)
    mean, variance = pm.mean(axis=0), pm.var(axis=0)
    # Multiplied out, for two stars of one proper motion have no variance.
    spread = pool.variance + variance
    difference = (pool.mean - mean) ** 2
    agrees = (difference * spread[:, ::-1]).sum(axis=1) < max_pm_distance * spread.prod(axis=1)
    elsewhere = ~np.isin(pool.origin, pool.origin[cluster.rois])
    return np.flatnonzero(pool.free & agrees & elsewhere)


def _line_pm(cluster: Cluster, rois: Rois) -> Floats:
    """pm_phi and pm_lam of the entries on a cluster's line, shape (n_line, 2), mas/yr."""
    on_line = rois.entries(cluster.rois)[cluster.on_line]
    return np.column_stack([rois.pm_phi[on_line], rois.pm_lam[on_line]])


def _merge_each(plane: HoughPlane, counts: Counts, others: Counts, partners: Ints) -> Peaks:
    """The line of a cluster's counts put together with those of each partner in turn."""
    parts = [
        peaks(plane, counts + others[partners[first : first + CHUNK]])
        for first in range(0, len(partners), CHUNK)
    ]
    return Peaks(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _row(cluster: Cluster, rois: Rois) -> dict[str, Any]:
    """A cluster as a row of `PROTOCLUSTERS_SCHEMA`, but for its numbers."""
    entries = rois.entries(cluster.rois)
    source_id, first, star = np.unique(
        rois.source_id[entries], return_index=True, return_inverse=True
    )
    log_ratio = np.full(len(source_id), -np.inf)
    np.maximum.at(log_ratio, star, rois.log_ratio[entries])
    on_line = cluster.on_line[first]
    pm = _line_pm(cluster, rois)
    moments = {
        f"{name}_{moment}": float(value)
        for moment, values in (("mean", pm.mean(axis=0)), ("std", pm.std(axis=0)))
        for name, value in zip(("pm_phi", "pm_lam"), values, strict=True)
    }
    return {
        "theta": cluster.theta_deg,
        "r": cluster.r_deg,
        "sigma": cluster.sigma,
        "n_line": int(cluster.on_line.sum()),
        "n_line_unique": int(on_line.sum()),
        **moments,
        "roi": cluster.rois,
        "source_id": source_id,
        "on_line": on_line,
        "log_ratio": log_ratio,
    }
