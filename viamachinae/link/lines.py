"""The line finder: the most significant line of many star lists at once (after VM2; ours)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from viamachinae.link.hough import (
    Bools,
    Counts,
    Floats,
    HoughPlane,
    Ints,
    background_sum,
    box_counts,
    hough_curves,
)

# Star lists worked on at once, so that their Hough planes stay in the processor's cache.
CHUNK = 16


class Lines(NamedTuple):
    """The most significant line of each star list.

    Attributes
    ----------
    theta_deg, r_deg, sigma : float64 arrays of shape (n_sets,)
        Angle in [0, 180) deg and offset in deg of the line, and its significance sigma_L.
    n_line : int64 array of shape (n_sets,)
        Stars on the line; a star that stands in a list twice counts twice.
    on_line : bool array of shape (n_stars,)
        For each entry of the lists, whether it lies on its list's line.
    """

    theta_deg: Floats
    r_deg: Floats
    sigma: Floats
    n_line: Ints
    on_line: Bools


class Peaks(NamedTuple):
    """The box of largest sigma_L of each list: sigma_L and cell, arrays of shape (n_sets,)."""

    sigma: Floats
    theta_cell: Ints
    r_cell: Ints


def find_lines(plane: HoughPlane, x: Floats, y: Floats, sets: Ints, n_sets: int) -> Lines:
    """Find the most significant line of each of many star lists: the peak of `significance`.

    Parameters
    ----------
    plane : HoughPlane
        Of the disc that holds the stars.
    x, y : float64 arrays of shape (n_stars,)
        Positions in the patch frame (phi, lam), deg; the lists one after the other.
    sets : int64 array of shape (n_stars,)
        Number of the list to which each entry belongs, ascending from 0.
    n_sets : int
        Number of lists; lists differ in size and may hold a star more than once.

    Raises
    ------
    ValueError
        If `sets` does not ascend within 0 .. n_sets - 1, or a star lies outside the disc.
    """
    if len(sets) and (sets[0] < 0 or sets[-1] >= n_sets or np.any(np.diff(sets) < 0)):
        raise ValueError("sets must ascend from 0 to less than n_sets")
    parts = [
        _find_in_chunk(plane, x[stars], y[stars], sets[stars] - first, last - first)
        for first, last, stars in _chunks(sets, n_sets)
    ]
    nothing = _find_in_chunk(plane, x[:0], y[:0], sets[:0], 0)
    return Lines(*(np.concatenate(column) for column in zip(*parts, nothing, strict=True)))


def _chunks(sets: Ints, n_sets: int) -> Iterator[tuple[int, int, slice]]:
    for first in range(0, n_sets, CHUNK):
        last = min(first + CHUNK, n_sets)
        begin, end = np.searchsorted(sets, [first, last])
        yield first, last, slice(int(begin), int(end))


def _find_in_chunk(plane: HoughPlane, x: Floats, y: Floats, sets: Ints, n_sets: int) -> Lines:
    curves = hough_curves(plane, x, y)
    found = peaks(plane, box_counts(plane, curves, sets, n_sets))
    on_line = curves.enters(found.theta_cell[sets], found.r_cell[sets])
    return Lines(
        plane.theta_deg[found.theta_cell],
        plane.r_deg[found.r_cell],
        found.sigma,
        np.bincount(sets[on_line], minlength=n_sets),
        on_line,
    )


def significance(plane: HoughPlane, counts: Counts) -> Floats:
    """sigma_L = (N - N_bg) / sqrt(N_bg + s_bg² + 1) of all boxes (after VM2; details ours).

    N counts the stars of a box; N_bg is the mean density of the boxes of the lattice around it,
    without the core, times its area; s_bg is the error of that mean times the area.

    Parameters
    ----------
    plane : HoughPlane
        Of the disc that holds the stars.
    counts : int32 array of shape (n_sets, n_theta, n_r)
        Stars by box, from `box_counts` or a sum of such.

    Returns
    -------
    float64 array of shape (n_sets, n_theta, n_r)
        -inf where the rim leaves too little of a box.
    """
    # Each box with an area has two background boxes at least: those turned out of the core.
    area, n = plane.area_deg2, np.maximum(plane.n_background, 2)
    used = area > 0
    per_area = np.divide(1.0, area, where=used, out=np.zeros_like(area))
    density = np.multiply(counts, per_area, dtype=np.float64)
    mean = background_sum(plane, density) / n
    variance = np.maximum(background_sum(plane, density * density) - n * mean * mean, 0) / (n - 1)
    background = mean * area
    sigma = (counts - background) / np.sqrt(background + variance / n * area * area + 1)
    return np.where(used, sigma, -np.inf)


def peaks(plane: HoughPlane, counts: Counts) -> Peaks:
    """The box of largest sigma_L of each list; the first in (theta, r) of equal ones.

    `counts` as in `significance`.
    """
    n_theta, n_r = plane.shape
    sigma = significance(plane, counts).reshape(len(counts), n_theta * n_r)
    best = np.argmax(sigma, axis=1)
    theta_cell, r_cell = np.divmod(best, n_r)
    return Peaks(sigma[np.arange(len(best)), best], theta_cell, r_cell)
