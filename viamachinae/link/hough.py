"""The Hough plane of a disc: which lines pass near which stars (after VM2; details ours).

A star at (x, y) lies on all lines r = x sin(theta) - y cos(theta): a curve in the Hough plane.
The plane is cut into cells; a box of cells around a cell is a line of some width and some play
in its angle, and counts each star once whose curve, taken at the cells' angles and joined in
between, enters the box. A theta outside [0, 180) deg is the same line with r reversed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from viamachinae.config import LineConfig

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Counts = NDArray[np.int32]

# A box cut to less than this share of a central box by the rim is neither line nor background:
# its few stars say nothing of a density (ours).
MIN_AREA_SHARE = 0.1
# Points that measure the boxes' areas; each box sees the mean over all angles (ours).
AREA_POINTS = 20_000
# The plane of a patch is flat only nearly: its disc reaches beyond its radius by less than this.
DISTORTION = 1.05


class HoughCurves(NamedTuple):
    """The boxes that the curve of each star enters, by their theta, shapes (n_stars, n_theta).

    They form a run in r: from the box `lowest` to the one before `beyond`.
    """

    lowest: Ints
    beyond: Ints

    def enters(self, theta_cell: Ints, r_cell: Ints) -> Bools:
        """Whether each star's curve enters the box centred at its cell; all shapes (n_stars,)."""
        star = np.arange(len(self.lowest))
        first, beyond = self.lowest[star, theta_cell], self.beyond[star, theta_cell]
        return (first <= r_cell) & (r_cell < beyond)


@dataclass(frozen=True)
class HoughPlane:
    """The cells and boxes of a disc; make it with `hough_plane`.

    The cells in r that boxes are centred on reach half a box beyond the disc on either side.

    Attributes
    ----------
    config : LineConfig
        Cells, box and lattice.
    radius_deg : float
        Radius of the disc that the stars fill.
    """

    config: LineConfig
    radius_deg: float

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Number of box centres in theta and in r."""
        inside = int(np.ceil(2 * self.radius_deg / self.config.r_cell_deg - 1e-9))
        return self.config.n_theta, inside + 2 * (self.config.box[1] // 2)

    @cached_property
    def theta_deg(self) -> Floats:
        """Centres of the cells in theta, deg, shape (n_theta,)."""
        return (np.arange(self.shape[0], dtype=np.float64) + 0.5) * (180 / self.shape[0])

    @cached_property
    def r_deg(self) -> Floats:
        """Centres of the cells in r, deg, shape (n_r,)."""
        middle = (self.shape[1] - 1) / 2
        return (np.arange(self.shape[1], dtype=np.float64) - middle) * self.config.r_cell_deg

    @cached_property
    def area_deg2(self) -> Floats:
        """Area inside the disc of a box by its r cell, deg², shape (n_r,); 0 where negligible.

        The mean over all angles of the boxes' counts of evenly spread points.
        """
        # A sunflower lattice: equal areas by the square root, even in angle by the golden one.
        n = np.arange(AREA_POINTS) + 0.5
        rho = self.radius_deg * np.sqrt(n / AREA_POINTS)
        angle = n * np.pi * (3 - np.sqrt(5))
        curves = hough_curves(self, rho * np.cos(angle), rho * np.sin(angle))
        counts = box_counts(self, curves, np.zeros(AREA_POINTS, dtype=np.int64), 1)[0]
        area = counts.mean(axis=0) * np.pi * self.radius_deg**2 / AREA_POINTS
        area = (area + area[::-1]) / 2
        return np.where(area < MIN_AREA_SHARE * area.max(), 0.0, area)

    @cached_property
    def n_background(self) -> Floats:
        """Background boxes of a box by its r cell, shape (n_r,)."""
        boxes = np.broadcast_to(self.area_deg2 > 0, (1, *self.shape)).astype(np.float64)
        n: Floats = background_sum(self, boxes)[0, 0]
        return n


@lru_cache(maxsize=16)
def hough_plane(config: LineConfig, radius_deg: float) -> HoughPlane:
    """The Hough plane of a disc of `radius_deg`, with its areas kept between calls."""
    return HoughPlane(config, radius_deg)


def hough_curves(plane: HoughPlane, x: Floats, y: Floats) -> HoughCurves:
    """The boxes that the Hough curves of stars at (x, y), deg, shape (n_stars,), enter.

    Raises
    ------
    ValueError
        If a star lies outside the disc.
    """
    if not np.all(np.hypot(x, y) <= DISTORTION * plane.radius_deg):
        raise ValueError(f"a star lies outside the disc of {plane.radius_deg} deg")
    wide, tall = plane.config.box
    n_theta, n_r = plane.shape
    inside, half = n_r - 2 * (tall // 2), wide // 2
    theta, scale = np.radians(plane.theta_deg), 1 / plane.config.r_cell_deg
    r = x[:, None] * (np.sin(theta) * scale) - y[:, None] * (np.cos(theta) * scale)
    cells = np.clip(np.floor(r + inside / 2).astype(np.int64), 0, inside - 1)
    before, after = cells[:, n_theta - half :], cells[:, :half]
    cells = np.concatenate([inside - 1 - before, cells, inside - 1 - after], axis=1)
    lowest, highest = cells[:, :n_theta], cells[:, :n_theta]
    for shift in range(1, wide):
        lowest = np.minimum(lowest, cells[:, shift : shift + n_theta])
        highest = np.maximum(highest, cells[:, shift : shift + n_theta])
    # Box centres are numbered from half a box outside the disc, which is half a box up already.
    return HoughCurves(lowest, highest + tall)


def box_counts(plane: HoughPlane, curves: HoughCurves, sets: Ints, n_sets: int) -> Counts:
    """Stars of each list in each box.

    Parameters
    ----------
    plane : HoughPlane
        Of the disc that holds the stars.
    curves : HoughCurves
        Of the stars.
    sets : int64 array of shape (n_stars,)
        Number of the list, 0 to `n_sets` - 1, to which each star belongs.
    n_sets : int
        Number of lists.

    Returns
    -------
    int32 array of shape (n_sets, n_theta, n_r)
        The counts of lists that are put together are the sums of their counts.
    """
    n_theta, n_r = plane.shape
    # A star fills a run of boxes in r: +1 where the run begins and -1 behind it, summed along r.
    row = (sets[:, None] * n_theta + np.arange(n_theta)) * (n_r + 1)
    size = n_sets * n_theta * (n_r + 1)
    steps = np.bincount((row + curves.lowest).ravel(), minlength=size)
    steps -= np.bincount((row + curves.beyond).ravel(), minlength=size)
    runs = steps.reshape(n_sets, n_theta, n_r + 1)[..., :n_r]
    return np.cumsum(runs, axis=-1, dtype=np.int32)


def background_sum(plane: HoughPlane, values: Floats) -> Floats:
    """Sum of box values over the lattice of boxes around each box, without its core.

    Parameters
    ----------
    plane : HoughPlane
        With lattice and core; the lattice's boxes do not overlap.
    values : float64 array of shape (n_sets, n_theta, n_r)
        Zero for boxes that do not count.

    Returns
    -------
    float64 array of shape (n_sets, n_theta, n_r)
    """
    n_theta, n_r = plane.shape
    wide, tall = plane.config.box
    edge, core = plane.config.lattice // 2, plane.config.core // 2
    pad = edge * wide
    padded = np.zeros((len(values), n_theta + 2 * pad, n_r + 2 * edge * tall))
    middle = padded[:, :, edge * tall : edge * tall + n_r]
    middle[:, pad : pad + n_theta] = values
    middle[:, :pad] = values[:, n_theta - pad :, ::-1]
    middle[:, pad + n_theta :] = values[:, :pad, ::-1]
    outer = np.zeros((len(values), n_theta + 2 * pad, n_r))
    full = np.zeros_like(outer)
    for step in range(-edge, edge + 1):
        rows = padded[:, :, (edge + step) * tall : (edge + step) * tall + n_r]
        target = outer if abs(step) > core else full
        target += rows
    full += outer
    total = np.zeros(values.shape)
    for step in range(-edge, edge + 1):
        # Beside the core only the outer boxes in r count, elsewhere all of them.
        columns = full if abs(step) > core else outer
        total += columns[:, (edge + step) * wide : (edge + step) * wide + n_theta]
    return total
