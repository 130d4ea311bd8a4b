"""The paths of streams on the sky: great circles and orbits."""

from __future__ import annotations

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from astropy.coordinates import ICRS, CartesianDifferential, Galactocentric, SkyCoord
from numpy.typing import NDArray

from viamachinae.config import GreatCircleTrack, OrbitTrack
from viamachinae.errors import BadInputError, install_extra
from viamachinae.simulate.kinematics import SUN_R_KPC, SUN_VELOCITY_KMS, SUN_Z_KPC
from viamachinae.sky import direction, east_north

Array = NDArray[np.float64]

# Time step of orbits, and the times to which one is followed until it is long enough (ours).
STEP_MYR, SPANS_MYR = 0.25, (125.0, 500.0, 4000.0)


class OrbitTooShortError(BadInputError):
    """An orbit that does not cover the length asked for."""


@dataclass(frozen=True)
class Track:
    """A path on the sky as a function of the angle along it.

    Attributes
    ----------
    phi1 : array of shape (n,)
        Angle along the path, rising, zero at its middle, deg.
    towards : array of shape (n, 3)
        ICRS unit vectors.
    motion : array of shape (n, 3)
        Proper motion as an ICRS vector in the plane of the sky, mas/yr.
    distance_kpc : array of shape (n,)
    """

    phi1: Array
    towards: Array
    motion: Array
    distance_kpc: Array

    def place(self, phi1: Array, phi2: Array) -> tuple[Array, Array, Array, Array, Array]:
        """Stars at angles along and across (left of) the path, deg, each of shape (n,).

        Returns
        -------
        ra, dec, distance_kpc, pmra, pmdec : arrays of shape (n,)
            ICRS deg, kpc, mas/yr; the components of the motion along and across the path are
            those of its foot point.
        """
        foot, along = self._foot(phi1)
        across = np.cross(foot, along)
        motion = self._interpolated(self.motion, phi1)
        lat = np.radians(phi2)[:, None]
        star = np.cos(lat) * foot + np.sin(lat) * across
        left = np.cos(lat) * across - np.sin(lat) * foot
        moved = _dot(motion, along) * along + _dot(motion, across) * left
        ra = np.degrees(np.arctan2(star[:, 1], star[:, 0])) % 360
        dec = np.degrees(np.arcsin(np.clip(star[:, 2], -1, 1)))
        east, north = east_north(ra, dec)
        pmra, pmdec = _dot(moved, east)[:, 0], _dot(moved, north)[:, 0]
        return ra, dec, np.interp(phi1, self.phi1, self.distance_kpc), pmra, pmdec

    def _foot(self, phi1: Array) -> tuple[Array, Array]:
        """Unit vectors to points of the path, and along it: an arc between nodes."""
        i = np.clip(np.searchsorted(self.phi1, phi1) - 1, 0, len(self.phi1) - 2)
        start, end = self.towards[i], self.towards[i + 1]
        tangent = end - _dot(start, end) * start
        tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
        turn = np.radians(phi1 - self.phi1[i])[:, None]
        return (
            np.cos(turn) * start + np.sin(turn) * tangent,
            np.cos(turn) * tangent - np.sin(turn) * start,
        )

    def _interpolated(self, values: Array, phi1: Array) -> Array:
        return np.stack([np.interp(phi1, self.phi1, column) for column in values.T], axis=1)


def _dot(a: Array, b: Array) -> Array:
    return np.asarray(np.einsum("ij,ij->i", a, b)[:, None])


def great_circle(config: GreatCircleTrack, length_deg: float) -> Track:
    """The path of a great circle through a point at a position angle.

    The proper motion at the middle is given in ICRS; along the path its components along and
    across the circle change linearly by `pm_gradient`, and so does the distance.

    Raises
    ------
    BadInputError
        If the distance falls to zero within the length.
    """
    middle = direction(config.ra, config.dec)
    east, north = east_north(config.ra, config.dec)
    angle = np.radians(config.position_angle_deg)
    ahead = np.cos(angle) * north + np.sin(angle) * east
    left = np.cross(middle, ahead)
    phi1 = np.linspace(-length_deg / 2, length_deg / 2, max(3, int(length_deg * 10)))
    distance = config.distance_kpc + config.distance_gradient * phi1
    if distance.min() <= 0:
        raise BadInputError(
            f"distance_gradient {config.distance_gradient} kpc per deg brings the stream's "
            f"distance to zero within its length of {length_deg} deg; make it smaller"
        )
    turn = np.radians(phi1)[:, None]
    towards = np.cos(turn) * middle + np.sin(turn) * ahead
    along = np.cos(turn) * ahead - np.sin(turn) * middle
    motion = config.pmra * east + config.pmdec * north
    pm_along = motion @ ahead + config.pm_gradient[0] * phi1
    pm_across = motion @ left + config.pm_gradient[1] * phi1
    return Track(phi1, towards, pm_along[:, None] * along + pm_across[:, None] * left, distance)


def orbit(config: OrbitTrack, length_deg: float) -> Track:
    """The path of an orbit through a point of phase space; `phi1` rises along the motion.

    Integrated in the MilkyWayPotential2022 of gala (Price-Whelan 2017, JOSS 2, 388), from a Sun
    as in `viamachinae.simulate.kinematics`.

    Raises
    ------
    BadInputError
        If gala is not installed.
    OrbitTooShortError
        If the orbit does not cover the length within 4 Gyr each way.
    """
    back, ahead = _half(config, length_deg / 2, -1), _half(config, length_deg / 2, 1)
    halves = zip(back, ahead, strict=True)
    return Track(*(np.concatenate([before[:0:-1], after]) for before, after in halves))


def _half(config: OrbitTrack, length_deg: float, sense: int) -> tuple[Array, Array, Array, Array]:
    """The fields of `Track` from the middle of an orbit on, to the future or the past."""
    for span_myr in SPANS_MYR:
        sky = _integrate(config, sense * STEP_MYR, int(span_myr / STEP_MYR))
        towards = direction(sky.ra.deg, sky.dec.deg)
        chords = np.linalg.norm(np.diff(towards, axis=0), axis=1)
        phi1 = np.concatenate([[0.0], np.cumsum(np.degrees(2 * np.arcsin(chords / 2)))])
        if phi1[-1] >= length_deg:
            break
    else:
        raise OrbitTooShortError(
            f"the orbit through (ra, dec) = ({config.ra}, {config.dec}) covers only "
            f"{phi1[-1]:.1f} deg of the sky in {SPANS_MYR[-1]:.0f} Myr; make length_deg smaller"
        )
    end = int(np.searchsorted(phi1, length_deg)) + 1
    east, north = east_north(sky.ra.deg, sky.dec.deg)
    pmra, pmdec = (pm.to_value(u.mas / u.yr)[:, None] for pm in (sky.pm_ra_cosdec, sky.pm_dec))
    motion = pmra * east + pmdec * north
    return sense * phi1[:end], towards[:end], motion[:end], sky.distance.to_value(u.kpc)[:end]


def _integrate(config: OrbitTrack, step_myr: float, n_steps: int) -> SkyCoord:
    """ICRS positions and motions of the orbit at equal steps from its middle on."""
    try:
        import gala.dynamics
        import gala.potential
    except ImportError as error:
        raise BadInputError(
            f"orbits need gala; install it with {install_extra('orbits')}, or use a great_circle "
            "track and leave link.orbits.n_candidates at 0"
        ) from error
    frame = Galactocentric(
        galcen_distance=SUN_R_KPC * u.kpc,
        galcen_v_sun=CartesianDifferential(SUN_VELOCITY_KMS * u.km / u.s),
        z_sun=SUN_Z_KPC * u.kpc,
    )
    middle = SkyCoord(
        config.ra * u.deg,
        config.dec * u.deg,
        config.distance_kpc * u.kpc,
        pm_ra_cosdec=config.pmra * u.mas / u.yr,
        pm_dec=config.pmdec * u.mas / u.yr,
        radial_velocity=config.radial_velocity_kms * u.km / u.s,
    )
    start = gala.dynamics.PhaseSpacePosition(middle.transform_to(frame).data)
    potential = gala.potential.MilkyWayPotential(version="v2")
    path = potential.integrate_orbit(start, dt=step_myr * u.Myr, n_steps=n_steps)
    return SkyCoord(path.to_coord_frame(ICRS(), galactocentric_frame=frame))
