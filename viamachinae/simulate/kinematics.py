"""The Sun in the Galaxy, and what velocities look like from it: pure geometry."""

from __future__ import annotations

from functools import lru_cache

import astropy.units as u
import numpy as np
from astropy.coordinates import ICRS, CartesianRepresentation, Galactic
from numpy.typing import NDArray

from viamachinae.sky import east_north

Array = NDArray[np.float64]

# Distance to the Galactic centre: GRAVITY Collaboration 2018, A&A 615, L15.
SUN_R_KPC = 8.122
# Height above the plane: Bennett & Bovy 2019, MNRAS 482, 1417.
SUN_Z_KPC = 0.0208
# Towards the centre, along rotation, to the north pole: Drimmel & Poggio 2018, RNAAS 2, 210.
SUN_VELOCITY_KMS = (12.9, 245.6, 7.78)
# The Sun's motion less its lead of 12.24 km/s: Schönrich, Binney & Dehnen 2010, MNRAS 403, 1829.
CIRCULAR_VELOCITY_KMS = SUN_VELOCITY_KMS[1] - 12.24
# One mas/yr at 1 kpc, km/s.
KMS_PER_MASYR_KPC = float(
    (u.kpc * u.mas / u.yr).to(u.km / u.s, equivalencies=u.dimensionless_angles())
)


@lru_cache(maxsize=1)
def icrs_to_galactic() -> Array:
    """Matrix of shape (3, 3) that turns ICRS into Galactic Cartesian vectors."""
    axes = ICRS(CartesianRepresentation(np.eye(3) * u.one))
    return np.asarray(axes.transform_to(Galactic()).cartesian.xyz.value)


def galactocentric(towards: Array, distance_kpc: Array) -> Array:
    """Galactocentric positions of shape (..., 3), kpc, the Sun at (-R0, 0, z0).

    Parameters
    ----------
    towards : array of shape (..., 3)
        Galactic unit vectors.
    distance_kpc : array of shape (...)
    """
    return np.asarray(towards * distance_kpc[..., None] + np.array([-SUN_R_KPC, 0.0, SUN_Z_KPC]))


def proper_motions(
    ra: Array, dec: Array, distance_kpc: Array, velocity_kms: Array
) -> tuple[Array, Array]:
    """Proper motions (mas/yr, the first times cos dec) of stars with Galactic velocities.

    Parameters
    ----------
    ra, dec : array of shape (n,)
        ICRS, deg.
    distance_kpc : array of shape (n,)
    velocity_kms : array of shape (n, 3)
        Galactic Cartesian velocity in the frame of the Galaxy, km/s; the Sun's is taken off.
    """
    relative = (velocity_kms - np.array(SUN_VELOCITY_KMS)) @ icrs_to_galactic()
    east, north = east_north(ra, dec)
    scale = KMS_PER_MASYR_KPC * distance_kpc
    return (
        np.einsum("ij,ij->i", relative, east) / scale,
        np.einsum("ij,ij->i", relative, north) / scale,
    )
