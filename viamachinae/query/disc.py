"""A disc on the sky: which stars lie in it, and which ranges of ra and dec may hold some."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from astropy.coordinates import angular_separation
from numpy.typing import NDArray

# Widens the box around the disc against rounding; far below any distance between stars.
_MARGIN_DEG = 1e-6
# Bounds the error of a dot product of unit vectors, with a margin of ten.
_ROUNDING = 1e-14


@dataclass(frozen=True)
class Disc:
    """All points within an angle of a centre.

    Attributes
    ----------
    ra, dec : float
        Centre, ICRS, deg.
    radius_deg : float
        The rim belongs to the disc.
    """

    ra: float
    dec: float
    radius_deg: float

    def holds(self, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether points (deg, shape (n,)) lie in the disc; a point with NaN does not.

        The dot product of unit vectors decides; where it stands within rounding of the rim,
        Vincenty's formula, which is accurate at small, right and straight angles alike.
        """
        ra0, dec0, radius = (math.radians(angle) for angle in (self.ra, self.dec, self.radius_deg))
        ra, dec = np.radians(ra), np.radians(dec)
        dot = math.sin(dec0) * np.sin(dec) + math.cos(dec0) * np.cos(dec) * np.cos(ra - ra0)
        excess = dot - math.cos(min(radius, math.pi))
        inside: NDArray[np.bool_] = excess >= 0.0
        doubtful = np.flatnonzero(np.abs(excess) < _ROUNDING)
        separation = angular_separation(ra0, dec0, ra[doubtful], dec[doubtful])
        inside[doubtful] = separation <= radius
        return inside

    def may_meet(self, ra: tuple[float, float] | None, dec: tuple[float, float] | None) -> bool:
        """Whether stars in these ranges (deg, ends included; None: unknown) may lie in the disc.

        True where in doubt, so that skipping what this refuses loses no star.
        """
        if dec is not None and _apart(dec, self.dec, self.radius_deg + _MARGIN_DEG):
            return False
        half_width = self._ra_half_width_deg()
        if ra is None or half_width is None:
            return True
        return not all(_apart(ra, self.ra + 360.0 * turn, half_width) for turn in range(-2, 3))

    def _ra_half_width_deg(self) -> float | None:
        """Largest abs(difference in ra) in the disc; None where a pole is inside."""
        if abs(self.dec) + self.radius_deg + _MARGIN_DEG >= 90.0:
            return None
        sine = math.sin(math.radians(self.radius_deg)) / math.cos(math.radians(self.dec))
        return math.degrees(math.asin(sine)) + _MARGIN_DEG


def _apart(span: tuple[float, float], middle: float, half_width: float) -> bool:
    # A comparison with NaN is false: a range that is not known is never apart.
    return span[1] < middle - half_width or span[0] > middle + half_width
