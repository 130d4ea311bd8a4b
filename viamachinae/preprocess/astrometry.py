"""Positions and proper motions in the frame of a patch, and heights above the Galactic plane."""

from __future__ import annotations

from collections.abc import Mapping

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from numpy.typing import NDArray

from viamachinae.sky import FramePositions, Patch

Array = NDArray[np.float64]


def in_frame(patch: Patch, columns: Mapping[str, Array]) -> FramePositions:
    """Positions (deg) and proper motions (mas/yr) of stars in the frame of a patch.

    Parameters
    ----------
    patch : Patch
        The frame.
    columns : mapping of str to float64 array of shape (n,)
        With finite ``ra``, ``dec`` (deg), ``pmra`` and ``pmdec`` (mas/yr).
    """
    return patch.to_frame(*(columns[name] for name in ("ra", "dec", "pmra", "pmdec")))


def is_good_parallax(
    parallax: Array, parallax_error: Array, max_fraction: float
) -> NDArray[np.bool_]:
    """Whether a parallax is positive and its error a smaller part of it than `max_fraction`.

    Parameters
    ----------
    parallax, parallax_error : array of shape (n,)
        In mas; a NaN is not a good parallax.
    max_fraction : float
        Upper bound of error over value (VM2, section 2).
    """
    good: NDArray[np.bool_] = (parallax > 0) & (parallax_error < max_fraction * parallax)
    return good


def least_height_kpc(ra: Array, dec: Array, parallax: Array, parallax_error: Array) -> Array:
    """Height above the Galactic plane at the near end of a parallax's error bar.

    abs(z) = d abs(sin b) with d = 1 / (parallax + 2 parallax_error) (VM2, section 2). Heights
    count from the Sun: its own 20 pc above the plane are neglected.

    Parameters
    ----------
    ra, dec : array of shape (n,)
        ICRS, deg.
    parallax, parallax_error : array of shape (n,)
        In mas, the sum of the first and twice the second positive.

    Returns
    -------
    float64 array of shape (n,)
        In kpc.
    """
    distance_kpc = 1.0 / (parallax + 2.0 * parallax_error)
    latitude = SkyCoord(ra * u.deg, dec * u.deg).galactic.b.rad
    return np.asarray(distance_kpc * np.abs(np.sin(latitude)), dtype=np.float64)
