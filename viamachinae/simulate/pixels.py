"""The pixels in which the simulated sky is drawn, and Gaia's source ids in them."""

from __future__ import annotations

import healpy
import numpy as np
from numpy.typing import ArrayLike, NDArray

from viamachinae.sky import direction, east_north

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

# Pixels of 0.84 square deg, NESTED, ICRS: small enough that few lie half outside a disc (ours).
DRAW_LEVEL = 6
NSIDE = 2**DRAW_LEVEL
AREA_SR = 4 * np.pi / healpy.nside2npix(NSIDE)
# source_id is the level-12 NESTED pixel times 2^35 plus a running number (Gaia DR3
# documentation, 20.1.1, gaia_source). Bit 34 marks stars of injected streams (ours).
ID_LEVEL, ID_FACTOR, STREAM_BIT = 12, 2**35, 2**34
# Beyond the last pixel there is no id of Gaia's: the range of stars injected into a catalogue.
INJECTED_ID = 12 * 4**ID_LEVEL * ID_FACTOR
# The finest level; its pixels are 0.4 mas wide.
FINEST_LEVEL = 29


def touching(ra: float, dec: float, radius_deg: float) -> Ids:
    """The drawn pixels that may touch a disc, in ascending order."""
    found = healpy.query_disc(
        NSIDE, direction(ra, dec), np.radians(radius_deg), inclusive=True, nest=True
    )
    return np.sort(found).astype(np.int64)


def outline(pixel: int) -> Array:
    """ICRS unit vectors (9, 3) of a pixel's centre, corners and the middles of its sides."""
    border = healpy.boundaries(NSIDE, pixel, step=2, nest=True).T
    centre = np.array(healpy.pix2vec(NSIDE, pixel, nest=True))
    return np.concatenate([centre[None], border])


def uniform_positions(rng: np.random.Generator, pixel: int, n: int) -> tuple[Array, Array, Ids]:
    """Points drawn uniformly in a pixel: ra and dec (deg) and their level-12 pixels."""
    inside = 4 ** (FINEST_LEVEL - DRAW_LEVEL)
    finest = pixel * inside + rng.integers(0, inside, n)
    ra, dec = healpy.pix2ang(2**FINEST_LEVEL, finest, nest=True, lonlat=True)
    return ra, dec, finest >> 2 * (FINEST_LEVEL - ID_LEVEL)


def id_pixels(ra: ArrayLike, dec: ArrayLike) -> Ids:
    """Level-12 pixels of points in deg."""
    found = healpy.ang2pix(2**ID_LEVEL, ra, dec, nest=True, lonlat=True)
    return np.asarray(found, dtype=np.int64)


def in_disc(
    ra: Array, dec: Array, centre: tuple[float, float], radius_deg: float
) -> NDArray[np.bool_]:
    """Whether points lie within a disc; all in deg."""
    chord = np.linalg.norm(direction(ra, dec) - direction(*centre), axis=-1)
    return np.asarray(chord <= 2 * np.sin(np.radians(min(radius_deg, 180.0)) / 2))


def spiral(centre: tuple[float, float], radius_deg: float, n: int) -> Array:
    """Unit vectors (n, 3) spread evenly over a disc, for averages over it."""
    east, north = east_north(*centre)
    height = 1 - (np.arange(n) + 0.5) / n * (1 - np.cos(np.radians(radius_deg)))
    turn = np.arange(n) * np.pi * (3 - np.sqrt(5))
    across = np.sqrt(1 - height**2)[:, None]
    ring = np.cos(turn)[:, None] * east + np.sin(turn)[:, None] * north
    return np.asarray(height[:, None] * direction(*centre) + across * ring)
