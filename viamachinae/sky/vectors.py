"""Unit vectors on the sky."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def direction(lon_deg: ArrayLike, lat_deg: ArrayLike) -> Array:
    """Unit vectors of shape (..., 3) towards a longitude and latitude in deg."""
    lon, lat = np.radians(lon_deg), np.radians(lat_deg)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def east_north(lon_deg: ArrayLike, lat_deg: ArrayLike) -> tuple[Array, Array]:
    """Unit vectors of shape (..., 3) to the east and the north of a point in deg."""
    lon, lat = np.radians(lon_deg), np.radians(lat_deg)
    east = np.stack([-np.sin(lon), np.cos(lon), np.zeros_like(lon)], axis=-1)
    north = np.stack([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)], axis=-1)
    return east, north
