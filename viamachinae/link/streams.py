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
        (mas/yr), phot_g_mean_mag, bp_rp (mag, as observed); colour, mag, the same free of
        extinction, where the scan took it off.
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
    ra, dec = _line_points(found, patches)
    first, second = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for i, j, a, b, shared in _sharing(found, patches):
        size = np.minimum(
            _stars_inside(found, i, patches[j])[a], _stars_inside(found, j, patches[i])[b]
        )
        joined = shared > config.min_shared * size
        if np.any(joined):
            a, b = a[joined], b[joined]
            agrees = _lines_agree(found, a, patches[i], ra[b], dec[b], config)
            first.append(a[agrees])
            second.append(b[agrees])
    return connected(len(found.patch), np.concatenate(first), np.concatenate(second))


def _sharing(
    found: Protostreams, patches: Sequence[Patch]
) -> Iterator[tuple[int, int, Ints, Ints, Ints]]:
    """Pairs of overlapping patches i < j, their protostreams that share stars, and how many."""
    begin = np.searchsorted(found.owner, np.arange(1, len(found.patch)))
    a, b, shared = shared_stars(np.split(found.source_id, begin))
    between = found.patch[a] * len(patches) + found.patch[b]
    order = np.argsort(between, kind="stable")
    pairs, first = np.unique(between[order], return_index=True)
    of_pair = dict(zip(pairs.tolist(), np.split(order, first[1:]), strict=False))
    for i, j in overlaps(patches):
        at = of_pair.get(i * len(patches) + j)
        if at is not None:
            yield i, j, a[at], b[at], shared[at]


def _stars_inside(found: Protostreams, position: int, disc: Patch) -> Ints:
    """Line stars of the protostreams of a patch in the disc of another, by protostream."""
    nodes = np.searchsorted(found.patch, [position, position + 1])
    begin, end = np.searchsorted(found.owner, nodes)
    inside = disc.separation_deg(found.ra[begin:end], found.dec[begin:end])
    owner = found.owner[begin:end][inside < disc.evaluation_radius_deg]
    return np.bincount(owner, minlength=len(found.patch))


def _line_points(found: Protostreams, patches: Sequence[Patch]) -> tuple[Floats, Floats]:
    """Evenly spaced points along each line in its disc: ra, dec, deg, (n, CHORD_POINTS)."""
    ra, dec = np.empty((2, len(found.patch), CHORD_POINTS))
    for position in np.unique(found.patch):
        here, patch = found.patch == position, patches[position]
        theta, r = np.radians(found.theta_deg[here])[:, None], found.r_deg[here][:, None]
        half = np.sqrt(np.maximum(patch.evaluation_radius_deg**2 - r**2, 0))
        t = half * np.linspace(-1, 1, CHORD_POINTS)
        x, y = r * np.sin(theta) + t * np.cos(theta), t * np.sin(theta) - r * np.cos(theta)
        ra[here], dec[here] = patch.sky_points(x, y)
    return ra, dec


def _lines_agree(
    found: Protostreams, a: Ints, here: Patch, ra: Floats, dec: Floats, config: CandidateConfig
) -> Bools:
    """Whether protostreams `a` of a patch agree with lines of another, given by their points."""
    inside: Bools = here.separation_deg(ra, dec) < here.evaluation_radius_deg
    # The points inside are one run, for both discs are convex; its ends make the chord.
    begin = np.argmax(inside, axis=1)
    end = CHORD_POINTS - 1 - np.argmax(inside[:, ::-1], axis=1)
    ends = np.arange(len(a)), np.stack([begin, end])
    (x0, x1), (y0, y1) = here.offsets(ra[ends], dec[ends])
    theta = np.radians(found.theta_deg[a])
    sin, cos = np.sin(theta), np.cos(theta)
    dx, dy = x1 - x0, y1 - y0
    angle = np.degrees(np.arctan2(np.abs(dx * sin - dy * cos), np.abs(dx * cos + dy * sin)))
    offset = np.abs((x0 + x1) / 2 * sin - (y0 + y1) / 2 * cos - found.r_deg[a])
    close = (angle <= config.max_angle_deg) & (offset <= config.max_offset_deg)
    agrees: Bools = close & (np.count_nonzero(inside, axis=1) >= 2)
    return agrees
