"""Two simple searches, so that a grade of a better one means something.

The matched filter looks at the sky alone: stars near an old ridge line at a distance, and the
straight strips that hold more of them than their surroundings (the idea of Rockosi et al. 2002,
AJ 124, 349; the search for lines is ours). The Hough finder takes all fiducial stars of a window of
proper motion for its list, where Via Machinae takes those of highest score (ours).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from viamachinae.config import HoughFinderConfig, MatchedFilterConfig, RidgeConfig
from viamachinae.inspect.comparison import MIN_SHARED
from viamachinae.link.hough import HoughPlane
from viamachinae.link.lines import find_lines
from viamachinae.link.ridge import ridge_weights
from viamachinae.simulate.observation import distance_modulus

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

# Angles at which strips are laid, deg: as many as the cells of the Hough plane (ours).
ANGLE_STEP_DEG = 1.8


class FoundLine(NamedTuple):
    """A line: its significance, and its stars as rows of what was searched."""

    sigma: float
    rows: Ints


def matched_filter(
    x: Array,
    y: Array,
    g_mag: Array,
    bp_rp: Array,
    radius_deg: float,
    config: MatchedFilterConfig,
    ridge: RidgeConfig,
) -> list[FoundLine]:
    """Lines of stars that lie near an old ridge line at one distance, best first.

    Parameters
    ----------
    x, y : float64 arrays of shape (n,)
        Positions in the patch frame, deg.
    g_mag, bp_rp : float64 arrays of shape (n,)
        mag, free of extinction; stars with a NaN are left out.
    radius_deg : float
        Of the disc that the stars fill.
    config : MatchedFilterConfig
    ridge : RidgeConfig
        The ridge line, and the range of distances tried.
    """
    strips = _Strips.of_disc(radius_deg, config)
    nearest, farthest = (float(distance_modulus(distance)) for distance in ridge.distance_kpc)
    found = []
    for modulus in np.arange(nearest, farthest, config.modulus_step_mag):
        weight = ridge_weights(g_mag, bp_rp, np.array([modulus]), ridge)[:, 0]
        chosen = np.flatnonzero((weight >= config.min_weight) & (np.hypot(x, y) < radius_deg))
        if len(chosen):
            found.append(_best_strip(strips, x, y, chosen, config))
    return distinct(found, config.min_sigma, config.max_lines)


class _Strips(NamedTuple):
    """Cells of a disc, and the number in r of each cell at each angle.

    `edges` of the cells, `inside` of shape (n, n), `theta` in rad of shape (n_theta,), `number` of
    shape (n_theta, n_inside).
    """

    edges: Array
    inside: NDArray[np.bool_]
    theta: Array
    number: Ints

    @classmethod
    def of_disc(cls, radius_deg: float, config: MatchedFilterConfig) -> _Strips:
        n = int(np.ceil(2 * radius_deg / config.cell_deg))
        edges = (np.arange(n + 1, dtype=np.float64) - n / 2) * config.cell_deg
        middle = (edges[:-1] + edges[1:]) / 2
        x, y = np.meshgrid(middle, middle, indexing="ij")
        inside = np.hypot(x, y) < radius_deg
        theta = np.radians(np.arange(0, 180, ANGLE_STEP_DEG))
        r = np.outer(np.sin(theta), x[inside]) - np.outer(np.cos(theta), y[inside])
        return cls(edges, inside, theta, np.floor(r / config.cell_deg + n / 2).astype(np.int64))


def _best_strip(
    strips: _Strips, x: Array, y: Array, chosen: Ints, config: MatchedFilterConfig
) -> FoundLine:
    """The strip of greatest excess over the smoothed density, and its stars among the chosen."""
    counts = np.histogram2d(x[chosen], y[chosen], [strips.edges, strips.edges])[0] * strips.inside
    smooth = config.background_deg / config.cell_deg
    covered = gaussian_filter(strips.inside.astype(np.float64), smooth, mode="constant")
    background = gaussian_filter(counts, smooth, mode="constant") / np.maximum(covered, 1e-9)
    n_r, n_wide = len(strips.edges), max(1, round(config.width_deg / config.cell_deg))
    excess = np.empty((len(strips.theta), n_r + 1))
    for i, number in enumerate(strips.number):
        n, expected = (
            np.convolve(
                np.bincount(np.clip(number, 0, n_r), values[strips.inside], n_r + 1),
                np.ones(n_wide),
                mode="same",
            )
            for values in (counts, background)
        )
        excess[i] = (n - expected) / np.sqrt(expected + 1)
    best, j = divmod(int(np.argmax(excess)), n_r + 1)
    theta, half = strips.theta[best], n_wide * config.cell_deg / 2
    r = x[chosen] * np.sin(theta) - y[chosen] * np.cos(theta)
    # Of an even number of cells the middle one is the first beyond the middle.
    middle = strips.edges[0] + (j + (0.5 if n_wide % 2 else 0.0)) * config.cell_deg
    return FoundLine(float(excess[best, j]), chosen[np.abs(r - middle) <= half])


def hough_finder(
    x: Array,
    y: Array,
    pm_phi: Array,
    pm_lam: Array,
    plane: HoughPlane,
    config: HoughFinderConfig,
) -> list[FoundLine]:
    """Lines among all stars of windows of proper motion, best first.

    Parameters
    ----------
    x, y, pm_phi, pm_lam : float64 arrays of shape (n,)
        Fiducial stars in the patch frame, deg and mas/yr.
    plane : HoughPlane
        Of the disc that the stars fill.
    config : HoughFinderConfig
    """
    found = []
    for rows in _windows(pm_phi, pm_lam, config):
        line = find_lines(plane, x[rows], y[rows], np.zeros(len(rows), dtype=np.int64), 1)
        found.append(FoundLine(float(line.sigma[0]), rows[line.on_line]))
    return distinct(found, config.min_sigma, config.max_lines)


def _windows(pm_phi: Array, pm_lam: Array, config: HoughFinderConfig) -> list[Ints]:
    """Rows of the stars of each window that holds enough of them."""
    cell = np.floor(np.stack([pm_phi, pm_lam]) / config.stride_masyr).astype(np.int64)
    steps = range(int(np.ceil(config.window_masyr / config.stride_masyr)))
    windows, rows = [np.empty((2, 0), dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for step in ((a, b) for a in steps for b in steps):
        first = cell - np.array(step)[:, None]
        beyond = np.stack([pm_phi, pm_lam]) - first * config.stride_masyr >= config.window_masyr
        inside = np.flatnonzero(~beyond.any(axis=0))
        windows.append(first[:, inside])
        rows.append(inside)
    of_window, row = np.concatenate(windows, axis=1), np.concatenate(rows)
    order = np.lexsort((row, *of_window))
    changes = np.flatnonzero(np.any(np.diff(of_window[:, order]), axis=0)) + 1
    return [one for one in np.split(row[order], changes) if len(one) >= config.min_stars]


def distinct(found: Sequence[FoundLine], min_sigma: float, most: int) -> list[FoundLine]:
    """The best of the lines, none of which shares most of its stars with a better one."""
    kept: list[FoundLine] = []
    for line in sorted(found, key=lambda one: -one.sigma):
        if line.sigma < min_sigma or len(kept) == most:
            break
        shared = (
            np.intersect1d(line.rows, better.rows).size
            > MIN_SHARED * min(len(line.rows), len(better.rows))
            for better in kept
        )
        if not any(shared):
            kept.append(line)
    return kept
