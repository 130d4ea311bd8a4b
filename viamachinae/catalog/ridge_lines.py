"""Ridge lines of old and young stars in the colour-magnitude diagram (PARSEC, Gaia bands)."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

Array = NDArray[np.float64]

MAIN_SEQUENCE, GIANT_BRANCH = 0, 1
TABLE = resources.files("viamachinae.catalog") / "data" / "ridge_lines.ecsv"


class RidgeLine(NamedTuple):
    """One isochrone as a chain of points of shape (n,), in order of initial mass."""

    initial_mass: Array
    g_abs: Array
    bp_rp: Array
    branch: NDArray[np.int8]


class Ridge(NamedTuple):
    """Main sequence and giant branch of a ridge line as seen at a distance, from bright to faint.

    `g_mag` and `bp_rp` have shape (n,), mag, free of extinction.
    """

    feh: float
    age_gyr: float
    distance_kpc: float
    g_mag: Array
    bp_rp: Array


@lru_cache(maxsize=1)
def _grid() -> tuple[Array, Array, Array, NDArray[np.int8]]:
    """Metallicities (m,), ages (a,), mass and G and colour (m, a, 3, n), and branches (n,)."""
    table = Table.read(TABLE.read_text(encoding="utf-8"), format="ascii.ecsv")
    metals, ages = np.unique(table["feh"]), np.unique(table["age"])
    names = ("initial_mass", "g_abs", "bp_rp")
    points = np.stack([np.asarray(table[name]) for name in names])
    points = points.reshape(3, len(metals), len(ages), -1).transpose(1, 2, 0, 3)
    branch = np.asarray(table["branch"])[: points.shape[-1]]
    return np.asarray(metals), np.asarray(ages), points, branch


def ridge_line(feh: float, age_gyr: float) -> RidgeLine:
    """The isochrone of a metallicity and an age (PARSEC, Gaia bands).

    Linear between the table's points of equal evolutionary stage; values outside the table take
    its border (the oldest isochrone is 12.6 Gyr old).

    Parameters
    ----------
    feh : float
        log10(Z / 0.0152), taken for [Fe/H]: the isochrones are scaled solar.
    age_gyr : float
        Age in Gyr.
    """
    metals, ages, points, branch = _grid()
    i, s = _bracket(metals, feh)
    j, t = _bracket(ages, age_gyr)
    young = (1 - s) * points[i, j] + s * points[i + 1, j]
    old = (1 - s) * points[i, j + 1] + s * points[i + 1, j + 1]
    mass, g_abs, bp_rp = (1 - t) * young + t * old
    return RidgeLine(mass, g_abs, bp_rp, branch)


def ridge_at(feh: float, age_gyr: float, distance_kpc: float) -> Ridge:
    """The ridge line at a distance, from the tip of the giant branch down; see `ridge_line`."""
    line = ridge_line(feh, age_gyr)
    chosen = np.isin(line.branch, (MAIN_SEQUENCE, GIANT_BRANCH))
    order = np.argsort(line.g_abs[chosen], kind="stable")
    g_mag = line.g_abs[chosen][order] + 5 * np.log10(distance_kpc) + 10
    return Ridge(feh, age_gyr, distance_kpc, g_mag, line.bp_rp[chosen][order])


def _bracket(nodes: Array, value: float) -> tuple[int, float]:
    """The node below a value, and the share of the way to the next one."""
    i = int(np.clip(np.searchsorted(nodes, value) - 1, 0, len(nodes) - 2))
    return i, float(np.clip((value - nodes[i]) / (nodes[i + 1] - nodes[i]), 0, 1))
