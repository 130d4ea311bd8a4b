"""Whether one orbit in the Milky Way goes through the stars of a candidate (ours).

The line stars are binned along the candidate's great circle: each bin has a mean angle across it
and two mean proper motions, with errors from their spread. An orbit in gala's MilkyWayPotential2022
is fitted to them: its angle and motions at the middle, its distance and its radial velocity. A
stream keeps near an orbit and not on it, so that a good fit is weak support; a bad one says that
what lies in line does not move in line.
"""

from __future__ import annotations

from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Column, Table
from numpy.typing import NDArray
from scipy.optimize import least_squares

from viamachinae.config import OrbitConfig, OrbitTrack
from viamachinae.inspect.exports import MASYR
from viamachinae.inspect.projection import Directions, directions
from viamachinae.inspect.track import StreamFrame, stream_frame
from viamachinae.simulate.tracks import OrbitTooShortError, orbit

Array = NDArray[np.float64]

# Bins along the line, the stars that make one, and the least errors of their means: what streams
# stray from orbits.
BIN_DEG, MIN_STARS = 2.0, 5
LEAST_ERROR = 0.1, 0.1, 0.1
# Angle (deg), motions (mas/yr), ln of the distance, radial velocity (km/s): a step of the fit.
SCALE = np.array([0.1, 0.1, 0.1, 0.1, 50.0])
MAX_KMS = 500.0
MARGIN_DEG = 2.0
# What an orbit that does not reach the end of the line is charged for each number.
FAR = 100.0


class OrbitFit(NamedTuple):
    """The best orbit; NaN where there are too few bins to tell.

    Attributes
    ----------
    chi2_dof : float
        chi squared over the degrees of freedom.
    distance_kpc, radial_velocity_kms : float
        Of the orbit in the middle of the line.
    """

    chi2_dof: float
    distance_kpc: float
    radial_velocity_kms: float


COLUMNS: dict[str, tuple[u.UnitBase | None, str]] = {
    "orbit_chi2": (None, "Reduced chi squared of the best orbit through the line stars"),
    "orbit_distance_kpc": (u.kpc, "Distance of that orbit in the middle of the line"),
    "orbit_rv_kms": (u.km / u.s, "Its radial velocity there"),
}


def add_orbits(candidates: Table, members: Table, config: OrbitConfig) -> None:
    """Give the best candidates the columns of `COLUMNS`; NaN for the others.

    Parameters
    ----------
    candidates : Table
        By rank.
    members : Table
        Their stars.
    config : OrbitConfig

    Raises
    ------
    BadInputError
        If gala is not installed.
    """
    found = np.full((len(candidates), len(COLUMNS)), np.nan)
    on_line = members[np.asarray(members["on_line"], dtype=np.bool_)]
    for row, name in enumerate(candidates["candidate"][: config.n_candidates]):
        found[row] = fit_orbit(on_line[on_line["candidate"] == name], config.distance_kpc)
    for (name, (unit, text)), values in zip(COLUMNS.items(), found.T, strict=True):
        candidates[name] = Column(values, unit=unit, description=text)


class _Bins(NamedTuple):
    """Means along the line, shape (n,), and their errors: phi2 (deg), motions (mas/yr)."""

    phi1: Array
    mean: Array
    error: Array


def fit_orbit(line: Table, distance_kpc: tuple[float, float]) -> OrbitFit:
    """Fit an orbit to the line stars of a candidate.

    Parameters
    ----------
    line : Table
        With ra, dec (deg), pmra, pmdec (mas/yr).
    distance_kpc : (float, float)
        Range of the distance in the middle.

    Raises
    ------
    BadInputError
        If gala is not installed.
    """
    frame = stream_frame(Directions(np.asarray(line["ra"]), np.asarray(line["dec"])))
    bins = _bins(frame, line)
    if 3 * len(bins.phi1) <= len(SCALE):
        return OrbitFit(np.nan, np.nan, np.nan)
    middle = int(np.argmin(np.abs(bins.phi1)))
    nearest, farthest = np.log(distance_kpc)
    low = np.array([-np.inf, -np.inf, -np.inf, nearest, -MAX_KMS]) / SCALE
    high = np.array([np.inf, np.inf, np.inf, farthest, MAX_KMS]) / SCALE
    best = least_squares(
        lambda point: _misfit(point * SCALE, frame, bins),
        np.array([*bins.mean[middle], (nearest + farthest) / 2, 0.0]) / SCALE,
        bounds=(low, high),
        diff_step=1e-2,
        max_nfev=25,
    )
    dof = 3 * len(bins.phi1) - len(SCALE)
    found = best.x * SCALE
    return OrbitFit(2 * float(best.cost) / dof, float(np.exp(found[3])), float(found[4]))


def _bins(frame: StreamFrame, line: Table) -> _Bins:
    """Bins of `BIN_DEG` along the great circle that hold enough stars."""
    ra, dec, pmra, pmdec = (np.asarray(line[name]) for name in ("ra", "dec", "pmra", "pmdec"))
    stars = frame.transform(ra, dec, pmra, pmdec)
    values = np.stack([stars.phi2, stars.pm_phi1, stars.pm_phi2], axis=1)
    number = np.round(stars.phi1 / BIN_DEG)
    places, means, errors = [], [], []
    for here in (number == one for one in np.unique(number)):
        if (n := np.count_nonzero(here)) >= MIN_STARS:
            places.append(float(stars.phi1[here].mean()))
            means.append(values[here].mean(axis=0))
            errors.append(np.hypot(values[here].std(axis=0, ddof=1) / np.sqrt(n), LEAST_ERROR))
    shape = len(places), 3
    return _Bins(np.array(places), np.reshape(means, shape), np.reshape(errors, shape))


def _misfit(point: Array, frame: StreamFrame, bins: _Bins) -> Array:
    """Differences of bins and orbit over their errors, shape (3 n,)."""
    phi2, pm_phi1, pm_phi2, log_distance, speed = point.tolist()
    middle = SkyCoord(
        0 * u.deg,
        phi2 * u.deg,
        pm_lon_coslat=pm_phi1 * MASYR,
        pm_lat=pm_phi2 * MASYR,
        frame=frame.frame,
    ).icrs
    through = OrbitTrack(
        kind="orbit",
        ra=middle.ra.deg,
        dec=middle.dec.deg,
        distance_kpc=np.exp(log_distance),
        pmra=middle.pm_ra_cosdec.to_value(MASYR),
        pmdec=middle.pm_dec.to_value(MASYR),
        radial_velocity_kms=speed,
    )
    length_deg = 2 * float(np.abs(bins.phi1).max()) + MARGIN_DEG
    try:
        path = orbit(through, length_deg)
    except OrbitTooShortError:
        return np.full(bins.mean.size, FAR)
    _, _, _, pmra, pmdec = path.place(path.phi1, np.zeros(len(path.phi1)))
    sky = directions(path.towards)
    along = frame.transform(sky.ra, sky.dec, pmra, pmdec)
    order = np.argsort(along.phi1)
    predicted = np.stack(
        [
            np.interp(bins.phi1, along.phi1[order], values[order], left=np.nan, right=np.nan)
            for values in (along.phi2, along.pm_phi1, along.pm_phi2)
        ],
        axis=1,
    )
    return np.nan_to_num((bins.mean - predicted) / bins.error, nan=FAR).ravel()
