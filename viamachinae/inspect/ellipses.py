"""Error ellipses of proper motions: from errors and correlation to axes, in any frame."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from astropy.table import Table
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from numpy.typing import NDArray

from viamachinae.sky import Patch

Array = NDArray[np.float64]


class Ellipses(NamedTuple):
    """1 σ ellipses, arrays of shape (n,).

    `x`, `y` of the centres, semi-axes `major` and `minor` (all mas/yr), and the angle of the
    major one from x towards y, deg.
    """

    x: Array
    y: Array
    major: Array
    minor: Array
    angle_deg: Array


def pm_covariance(stars: Table) -> Array | None:
    """Covariance of (pmra, pmdec), shape (n, 2, 2), (mas/yr)²; NaN where an error is lacking.

    None where the table has not both columns of errors. Without ``pmra_pmdec_corr``, the errors
    are taken to be uncorrelated.
    """
    if not {"pmra_error", "pmdec_error"} <= set(stars.colnames):
        return None
    ra, dec = (_values(stars, name) for name in ("pmra_error", "pmdec_error"))
    corr = _values(stars, "pmra_pmdec_corr") if has_correlation(stars) else np.zeros(len(stars))
    return np.stack([ra**2, corr * ra * dec, corr * ra * dec, dec**2], axis=-1).reshape(-1, 2, 2)


def has_correlation(stars: Table) -> bool:
    """Whether the table knows the correlation of the errors of pmra and pmdec."""
    return "pmra_pmdec_corr" in stars.colnames


def _values(stars: Table, name: str) -> Array:
    return np.ma.asarray(stars[name], dtype=np.float64).filled(np.nan)


def in_patch_frame(covariance: Array, ra: Array, dec: Array, patch: Patch) -> Array:
    """The covariance of (pm_phi, pm_lam) of stars at (ra, dec), deg, shape (n, 2, 2).

    Proper motions turn from ICRS to the frame by an angle that depends on the place alone.
    """
    ones, zeros = np.ones(len(ra)), np.zeros(len(ra))
    east, north = (patch.to_frame(ra, dec, *motion) for motion in ((ones, zeros), (zeros, ones)))
    turn = np.stack([east.pm_phi, north.pm_phi, east.pm_lam, north.pm_lam], axis=-1)
    turn = turn.reshape(-1, 2, 2)
    return np.asarray(turn @ covariance @ turn.transpose(0, 2, 1))


def ellipses(x: Array, y: Array, covariance: Array) -> Ellipses:
    """The 1 σ ellipses about (x, y), shape (n,); stars without a covariance are left out."""
    known = np.isfinite(covariance).all(axis=(1, 2))
    values, axes = np.linalg.eigh(covariance[known])
    minor, major = np.sqrt(np.maximum(values, 0)).T
    angle = np.degrees(np.arctan2(axes[:, 1, 1], axes[:, 0, 1])) % 180
    return Ellipses(x[known], y[known], major, minor, angle)


def draw_ellipses(axes: Axes, found: Ellipses) -> None:
    """Draw them in the data's units, thin enough to see the stars."""
    axes.add_collection(
        EllipseCollection(
            2 * found.major,
            2 * found.minor,
            found.angle_deg,
            units="xy",
            offsets=np.column_stack([found.x, found.y]),
            transOffset=axes.transData,
            facecolors="none",
            edgecolors="#D55E00",
            linewidths=0.5,
            # Smoothed edges would take the palette of the image.
            antialiaseds=False,
            alpha=0.6,
            zorder=3.5,
            gid="errors",
        )
    )
