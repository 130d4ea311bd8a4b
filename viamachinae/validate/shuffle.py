"""Positions dealt out anew within cells: the null sky that is made of the data themselves.

The stars of a cell keep their proper motions, colours and magnitudes and exchange their
positions. So the positions of each cell stay as a set, and with them the density of its stars on
the sky, footprint and gaps included; what goes is everything that ties a position to a proper
motion, colour or magnitude more finely than the cells do. A stream of n stars in a cell of N
becomes N stars of which n/N, of any motion in the cell, lie where the stream was: one that makes
up a good part of its cell stays a line. By default stars of all motions are of one cell, so that
signal and control regions share what is left and the ratio of their densities does not know it.

Where a stream makes up a good part of all stars, as in a sample chosen around it, no cell loses
it; then positions are spread over the footprint instead, which loses all structure on the sky
below the size of a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

import healpy
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# A pixel of the footprint is this part of the side of a pixel of the cells: 0.46 deg of 7.3.
FINER = 16
# Points within a pixel of the footprint: below an arcsecond apart.
_DEEPER = 12


def cell_numbers(values: Sequence[Floats], widths: Sequence[float]) -> Ints:
    """Number of the cell of each star, from 0, on a grid whose lines pass through zero.

    Parameters
    ----------
    values : sequence of float64 arrays of shape (n,)
        Coordinates, one at least; stars without a value are in cells of their own.
    widths : sequence of float
        Size of a cell in each coordinate, in its unit; infinite where all values are of one.

    Returns
    -------
    int64 array of shape (n,)

    Raises
    ------
    ValueError
        If there are not as many widths as coordinates.
    """
    keys = np.full((len(values[0]), len(values)), np.iinfo(np.int64).min)
    for key, column, width in zip(keys.T, values, widths, strict=True):
        known = np.isfinite(column)
        key[known] = np.floor(column[known] / width).astype(np.int64)
    _, cell = np.unique(keys, axis=0, return_inverse=True)
    return cell.ravel().astype(np.int64)


def deal(cell: Ints, rng: np.random.Generator) -> Ints:
    """Whose place each star takes: a uniform permutation within each cell.

    Parameters
    ----------
    cell : int64 array of shape (n,)
        Number of each star's cell.
    rng : numpy.random.Generator

    Returns
    -------
    int64 array of shape (n,)
        Rows; each occurs once, and is of the same cell as the star that it is given to.
    """
    donor = np.empty(len(cell), dtype=np.int64)
    donor[np.argsort(cell, kind="stable")] = np.lexsort((rng.random(len(cell)), cell))
    return donor


def spread(ra: Floats, dec: Floats, nside: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """As many places, drawn evenly over the part of the sky where there are any.

    Parameters
    ----------
    ra, dec : float64 arrays of shape (n,)
        Places, deg.
    nside : int
        That of the pixels that are empty or not, a power of two.
    rng : numpy.random.Generator

    Returns
    -------
    ra, dec : float64 arrays of shape (n,)
        Each in a pixel that holds one of the given places at least.
    """
    held = np.unique(healpy.ang2pix(nside, ra, dec, nest=True, lonlat=True))
    inner = 4**_DEEPER
    points = rng.choice(held, len(ra)) * inner + rng.integers(0, inner, len(ra))
    new_ra, new_dec = healpy.pix2ang(nside * 2**_DEEPER, points, nest=True, lonlat=True)
    return np.asarray(new_ra), np.asarray(new_dec)
