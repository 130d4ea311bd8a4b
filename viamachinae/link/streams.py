"""Streams: protostreams of overlapping patches that are one (after VM2; details ours).

Two protostreams of two patches belong together if their lines agree in the overlap of the
evaluation discs, and they share there more than a given share of the line stars of the one with
fewer, each star counted once. Line and line stars are those of a protostream's most significant
protocluster. Lines are compared in the frame of the patch that stands first: points along the
other's line that lie in both discs give there a chord, whose direction and middle are held
against the line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from astropy.table import Table

from viamachinae.config import CandidateConfig
from viamachinae.link.hough import Bools, Floats, Ints
from viamachinae.link.protostreams import connected, shared_stars
from viamachinae.link.roi import rows_of
from viamachinae.sky import Patch, overlaps

# Points along a line that find its chord in an overlap: 0.2 deg apart in a disc of 10 deg.
CHORD_POINTS = 101


@dataclass(frozen=True)
class LinkedPatch:
    """A patch whose ROIs are merged.

    Attributes
    ----------
    patch : Patch
        Where it is.
    lines : pyarrow.Table
        Its ROIs, of `roi.LINES_SCHEMA`.
    protoclusters : pyarrow.Table
        Of `protoclusters.PROTOCLUSTERS_SCHEMA`.
    stars : astropy.table.Table
        At least the stars of its protoclusters: source_id (int64), ra, dec (deg), pmra, pmdec
        (mas/yr), phot_g_mean_mag, bp_rp (mag).
    """

    patch: Patch
    lines: pa.Table
    protoclusters: pa.Table
    stars: Table


class Entries(NamedTuple):
    """The star lists of a patch's protoclusters one after the other, arrays of shape (n,)."""

    protocluster: Ints
    source_id: Ints
    on_line: Bools
    log_ratio: Floats


class Protostreams(NamedTuple):
    """The protostreams of many patches, by patch.

    Attributes
    ----------
    patch, number, best : int64 arrays of shape (n,)
        Position of the patch, number in it, row of the most significant protocluster.
    theta_deg, r_deg, sigma : float64 arrays of shape (n,)
        Line and significance of that protocluster.
    owner, source_id : int64 arrays of shape (n_line_stars,)
        The line stars of all protostreams, by the position of their protostream.
    ra, dec : float64 arrays of shape (n_line_stars,)
        Of the line stars, deg.
    """

    patch: Ints
    number: Ints
    best: Ints
    theta_deg: Floats
    r_deg: Floats
    sigma: Floats
    owner: Ints
    source_id: Ints
    ra: Floats
    dec: Floats


def star_entries(protoclusters: pa.Table) -> Entries:
    """The star lists of a table of protoclusters, flat."""
    lists = {name: protoclusters[name].combine_chunks() for name in Entries._fields[1:]}
    lengths = [len(stars) for stars in lists["source_id"]]
    return Entries(
        np.repeat(np.arange(len(lengths)), lengths),
        *(np.asarray(values.flatten()) for values in lists.values()),
    )


def gather_protostreams(linked: Sequence[LinkedPatch]) -> Protostreams:
    """The protostreams of all patches, by patch and number."""
    whole, real = np.empty(0, dtype=np.int64), np.empty(0)
    parts = [Protostreams(whole, whole, whole, real, real, real, whole, whole, real, real)]
    n = 0
    for position, one in enumerate(linked):
        parts.append(_of_patch(one, position, n))
        n += len(parts[-1].patch)
    return Protostreams(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _of_patch(linked: LinkedPatch, position: int, begin: int) -> Protostreams:
    table = linked.protoclusters
    label, sigma = np.asarray(table["protostream"]), np.asarray(table["sigma"])
    order = np.lexsort((-sigma, label))
    number, first = np.unique(label[order], return_index=True)
    best = order[first]
    entries = star_entries(table)
    at = np.flatnonzero(entries.on_line & np.isin(entries.protocluster, best))
    owner = begin + np.searchsorted(number, label[entries.protocluster[at]])
    at, owner = at[np.argsort(owner, kind="stable")], np.sort(owner)
    row = rows_of(linked.stars, entries.source_id[at], "protoclusters.parquet")
    return Protostreams(
        np.full(len(best), position),
        number,
        best,
        np.asarray(table["theta"])[best],
        np.asarray(table["r"])[best],
        sigma[best],
        owner,
        entries.source_id[at],
        np.asarray(linked.stars["ra"], dtype=np.float64)[row],
        np.asarray(linked.stars["dec"], dtype=np.float64)[row],
    )


def join_protostreams(
    found: Protostreams, patches: Sequence[Patch], config: CandidateConfig
) -> Ints:
    """Number of the stream candidate of each protostream, in the order of first appearance.

    Parameters
    ----------
    found : Protostreams
        Of all patches.
    patches : sequence of Patch
        The patches, in the order to which `found.patch` refers.
    config : CandidateConfig
        Largest angle and offset of the lines, smallest share of stars.

    Returns
    -------
    int64 array of shape (n,)
        A protostream that joins no other is a candidate too.
    """
    first, second = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for i, j, a, b, shared in _sharing(found, patches):
        size = np.minimum(
            _stars_inside(found, i, patches[j])[a], _stars_inside(found, j, patches[i])[b]
        )
        joined = shared > config.min_shared * size
        if np.any(joined):
            a, b = a[joined], b[joined]
            agrees = _lines_agree(found, a, b, patches[i], patches[j], config)
            first.append(a[agrees])
            second.append(b[agrees])
    return connected(len(found.patch), np.concatenate(first), np.concatenate(second))


def _sharing(
    found: Protostreams, patches: Sequence[Patch]
) -> Iterator[tuple[int, int, Ints, Ints, Ints]]:
    """Pairs of overlapping patches i < j, their protostreams that share stars, and how many."""
    begin = np.searchsorted(found.owner, np.arange(1, len(found.patch)))
    a, b, shared = shared_stars(np.split(found.source_id, begin))
    for i, j in overlaps(patches):
        at = np.flatnonzero((found.patch[a] == i) & (found.patch[b] == j))
        if len(at):
            yield i, j, a[at], b[at], shared[at]


def _stars_inside(found: Protostreams, position: int, disc: Patch) -> Ints:
    """Line stars of the protostreams of a patch in the disc of another, by protostream."""
    begin, end = np.searchsorted(found.patch[found.owner], [position, position + 1])
    inside = disc.separation_deg(found.ra[begin:end], found.dec[begin:end])
    owner = found.owner[begin:end][inside < disc.evaluation_radius_deg]
    return np.bincount(owner, minlength=len(found.patch))


def _lines_agree(
    found: Protostreams, a: Ints, b: Ints, here: Patch, there: Patch, config: CandidateConfig
) -> Bools:
    """Whether the lines of protostreams `a` of patch `here` and `b` of `there` are one."""
    along_x, along_y = _along(found.theta_deg[b], found.r_deg[b], there.evaluation_radius_deg)
    still = np.zeros(along_x.size)
    ra, dec, _, _ = there.from_frame(along_x.ravel(), along_y.ravel(), still, still)
    distance = here.separation_deg(ra, dec).reshape(along_x.shape)
    inside: Bools = distance < here.evaluation_radius_deg
    phi, lam, _, _ = here.to_frame(ra, dec, still, still)
    x, y = phi.reshape(along_x.shape), lam.reshape(along_x.shape)
    # The points inside are one run, for both discs are convex.
    row = np.arange(len(x))
    begin = np.argmax(inside, axis=1)
    end = CHORD_POINTS - 1 - np.argmax(inside[:, ::-1], axis=1)
    dx, dy = x[row, end] - x[row, begin], y[row, end] - y[row, begin]
    theta = np.radians(found.theta_deg[a])
    sin, cos = np.sin(theta), np.cos(theta)
    angle = np.degrees(np.arctan2(np.abs(dx * sin - dy * cos), np.abs(dx * cos + dy * sin)))
    middle_x, middle_y = (x[row, end] + x[row, begin]) / 2, (y[row, end] + y[row, begin]) / 2
    offset = np.abs(middle_x * sin - middle_y * cos - found.r_deg[a])
    close = (angle <= config.max_angle_deg) & (offset <= config.max_offset_deg)
    agrees: Bools = close & (np.count_nonzero(inside, axis=1) >= 2)
    return agrees


def _along(theta_deg: Floats, r_deg: Floats, radius_deg: float) -> tuple[Floats, Floats]:
    """Points along lines in a disc, x and y in its frame, deg, shape (n_lines, CHORD_POINTS)."""
    theta = np.radians(theta_deg)[:, None]
    half = np.sqrt(np.maximum(radius_deg**2 - r_deg**2, 0))[:, None]
    t = half * np.linspace(-1, 1, CHORD_POINTS)
    r = r_deg[:, None]
    return r * np.sin(theta) + t * np.cos(theta), t * np.sin(theta) - r * np.cos(theta)
