"""A patch of the sky, and its frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.coordinates import ICRS, SkyCoord, SkyOffsetFrame, angular_separation
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


class FramePositions(NamedTuple):
    """Positions (deg) and proper motions (mas/yr, pm_phi times cos lam) in a patch frame."""

    phi: Array
    lam: Array
    pm_phi: Array
    pm_lam: Array


class IcrsPositions(NamedTuple):
    """Positions (deg) and proper motions (mas/yr, pmra times cos dec) in ICRS."""

    ra: Array
    dec: Array
    pmra: Array
    pmdec: Array


@dataclass(frozen=True)
class Patch:
    """A disc on the sky with a frame of its own.

    Attributes
    ----------
    id : str
        Stable name made of the centre's Galactic coordinates, as in ``l195.0_b+33.7``.
    ra, dec : float
        Centre, ICRS, deg.
    radius_deg, evaluation_radius_deg : float
        Radii of the discs in which stars are trained on and evaluated.
    """

    id: str
    ra: float
    dec: float
    radius_deg: float
    evaluation_radius_deg: float

    @property
    def centre(self) -> SkyCoord:
        """The centre as an astropy coordinate."""
        return SkyCoord(self.ra * u.deg, self.dec * u.deg)

    def to_frame(
        self, ra: ArrayLike, dec: ArrayLike, pmra: ArrayLike, pmdec: ArrayLike
    ) -> FramePositions:
        """ICRS to the unrotated offset frame at the centre (VM1, section 2).

        Parameters
        ----------
        ra, dec : array of shape (n,)
            Degrees.
        pmra, pmdec : array of shape (n,)
            mas/yr; `pmra` includes cos(dec).

        Returns
        -------
        FramePositions
            Arrays of shape (n,); `phi` lies in [-180, 180).
        """
        if np.size(ra) == 0:  # astropy loses the proper motions of no stars
            return FramePositions(*np.empty((4, 0)))
        frame = SkyOffsetFrame(origin=self.centre)
        stars = ICRS(
            np.asarray(ra) * u.deg,
            np.asarray(dec) * u.deg,
            pm_ra_cosdec=np.asarray(pmra) * u.mas / u.yr,
            pm_dec=np.asarray(pmdec) * u.mas / u.yr,
        ).transform_to(frame)
        return FramePositions(
            stars.lon.wrap_at(180 * u.deg).deg,
            stars.lat.deg,
            stars.pm_lon_coslat.to_value(u.mas / u.yr),
            stars.pm_lat.to_value(u.mas / u.yr),
        )

    def from_frame(
        self, phi: ArrayLike, lam: ArrayLike, pm_phi: ArrayLike, pm_lam: ArrayLike
    ) -> IcrsPositions:
        """The inverse of `to_frame`, with `ra` in [0, 360)."""
        if np.size(phi) == 0:
            return IcrsPositions(*np.empty((4, 0)))
        frame = SkyOffsetFrame(
            np.asarray(phi) * u.deg,
            np.asarray(lam) * u.deg,
            pm_lon_coslat=np.asarray(pm_phi) * u.mas / u.yr,
            pm_lat=np.asarray(pm_lam) * u.mas / u.yr,
            origin=self.centre,
        )
        stars = frame.transform_to(ICRS())
        return IcrsPositions(
            stars.ra.deg,
            stars.dec.deg,
            stars.pm_ra_cosdec.to_value(u.mas / u.yr),
            stars.pm_dec.to_value(u.mas / u.yr),
        )

    def offsets(self, ra: ArrayLike, dec: ArrayLike) -> tuple[Array, Array]:
        """`phi` and `lam` of `to_frame`, deg, without the cost of proper motions."""
        points = ICRS(np.asarray(ra) * u.deg, np.asarray(dec) * u.deg)
        place = points.transform_to(SkyOffsetFrame(origin=self.centre))
        return place.lon.wrap_at(180 * u.deg).deg, place.lat.deg

    def sky_points(self, phi: ArrayLike, lam: ArrayLike) -> tuple[Array, Array]:
        """`ra` and `dec` of `from_frame`, deg, without the cost of proper motions."""
        degrees = np.asarray(phi) * u.deg, np.asarray(lam) * u.deg
        points = SkyOffsetFrame(*degrees, origin=self.centre).transform_to(ICRS())
        return points.ra.deg, points.dec.deg

    def separation_deg(self, ra: ArrayLike, dec: ArrayLike) -> Array:
        """Angular distance of points (deg, shape (n,)) from the centre, deg."""
        centre = np.radians(self.ra), np.radians(self.dec)
        distance = angular_separation(*centre, np.radians(ra), np.radians(dec))
        return np.asarray(np.degrees(distance), dtype=np.float64)
