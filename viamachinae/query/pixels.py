"""HEALPix pixels of the sky (NESTED, ICRS) and the ranges of Gaia's source_id that lie in them."""

from __future__ import annotations

from collections.abc import Iterable

import healpy
import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]

# source_id is the level-12 pixel times 2^35 plus a running number (Gaia DR3 documentation,
# 20.1.1, gaia_source).
ID_LEVEL, ID_FACTOR = 12, 2**35
# The pixel in source_id is that of the first position known of a star, which it may have left
# since: Barnard's star, the fastest, stands 2.6 arcmin from the middle of its pixel.
STRAY_DEG = 5 / 60


def source_id_range(order: int, pixel: int) -> tuple[int, int]:
    """First and last source_id, both included, that the pixel of an order from 0 to 12 holds."""
    width = _ids_in_pixel(order)
    return pixel * width, (pixel + 1) * width - 1


def pixels_of(source_id: Ids, order: int) -> Ids:
    """The pixel of an order from 0 to 12 in which each star was first seen."""
    pixels: Ids = np.asarray(source_id, dtype=np.int64) // _ids_in_pixel(order)
    return pixels


def ranges(pixels: Iterable[int], order: int) -> list[tuple[int, int]]:
    """The fewest ranges of source_id, ends included and ascending, that hold just these pixels."""
    ordered = np.unique(np.fromiter(pixels, dtype=np.int64))
    if not ordered.size:
        return []
    runs = np.split(ordered, np.flatnonzero(np.diff(ordered) > 1) + 1)
    return [
        (source_id_range(order, int(run[0]))[0], source_id_range(order, int(run[-1]))[1])
        for run in runs
    ]


def pixels_in_disc(ra: float, dec: float, radius_deg: float, order: int) -> Ids:
    """All pixels, ascending, whose source_id a star within `radius_deg` of (ra, dec) may have.

    They cover the disc and `STRAY_DEG` around it; a few that only come near are among them.
    """
    reach = np.radians(min(radius_deg + STRAY_DEG, 180.0))
    centre = healpy.ang2vec(ra, dec, lonlat=True)
    found = healpy.query_disc(2**order, centre, reach, inclusive=True, nest=True)
    return np.sort(found).astype(np.int64)


def separation_deg(
    pixels: Ids, order: int, ra: NDArray[np.float64] | float, dec: NDArray[np.float64] | float
) -> NDArray[np.float64]:
    """Angle between the middle of each pixel and a point (deg); shapes broadcast."""
    middle = np.stack(healpy.pix2vec(2**order, pixels, nest=True), axis=-1)
    chord = np.linalg.norm(middle - healpy.ang2vec(ra, dec, lonlat=True), axis=-1)
    angle: NDArray[np.float64] = np.degrees(2 * np.arcsin(np.minimum(chord / 2, 1.0)))
    return angle


def _ids_in_pixel(order: int) -> int:
    return int(ID_FACTOR * 4 ** (ID_LEVEL - order))
