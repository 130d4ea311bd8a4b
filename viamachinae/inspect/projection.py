"""Directions on the sky, and the projections in which the figures show them."""

from __future__ import annotations

from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.visualization.wcsaxes import WCSAxes
from astropy.wcs import WCS
from matplotlib.figure import Figure
from matplotlib.projections.geo import GeoAxes
from matplotlib.ticker import FuncFormatter
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# Share of the frame left free around what it must hold.
MARGIN = 0.08
TICK_STEPS_DEG = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 45, 60)


class Directions(NamedTuple):
    """Points on the sky, ICRS, deg."""

    ra: Array
    dec: Array

    @property
    def coordinates(self) -> SkyCoord:
        """The points as astropy coordinates."""
        return SkyCoord(self.ra * u.deg, self.dec * u.deg)


def vectors(points: Directions) -> Array:
    """Unit vectors of shape (n, 3)."""
    return np.asarray(points.coordinates.cartesian.xyz.value.T, dtype=np.float64)


def directions(xyz: ArrayLike) -> Directions:
    """The inverse of `vectors`; lengths do not matter."""
    x, y, z = np.moveaxis(np.asarray(xyz, dtype=np.float64), -1, 0)
    return Directions(np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arctan2(z, np.hypot(x, y))))


def frame_of(points: Directions) -> tuple[float, float, float]:
    """Middle (ra, dec) and radius, in deg, of a disc that holds all points with a margin."""
    middle = directions(vectors(points).sum(axis=0))
    radius = float(points.coordinates.separation(middle.coordinates).deg.max())
    return float(middle.ra), float(middle.dec), max(radius, 0.5) * (1 + MARGIN)


def circle(ra: float, dec: float, radius_deg: float, n: int = 121) -> Directions:
    """The closed small circle of `n` points around a centre."""
    angles = np.linspace(0, 360, n) * u.deg
    rim = SkyCoord(ra * u.deg, dec * u.deg).directional_offset_by(angles, radius_deg * u.deg)
    return Directions(rim.ra.deg, rim.dec.deg)


def great_circle(stars: Directions, n: int = 181) -> Directions:
    """The arc of the great circle nearest to the stars, as long as they reach.

    Parameters
    ----------
    stars : Directions
        At least one star.
    n : int
        Points on the arc.
    """
    xyz = vectors(stars)
    pole, first = pole_and_middle(xyz)
    second = np.cross(pole, first)
    along = np.arctan2(xyz @ second, xyz @ first)
    angles = np.linspace(along.min(), along.max(), n)[:, None]
    return directions(np.cos(angles) * first + np.sin(angles) * second)


def pole_and_middle(xyz: Array) -> tuple[Array, Array]:
    """The great circle nearest to stars: its pole, and the middle of the stars upon it.

    The pole is the direction of smallest scatter: the eigenvector of the smallest eigenvalue of
    the sum of n nᵀ over the stars' unit vectors n (least squares in sine of the distance).

    Parameters
    ----------
    xyz : float64 array of shape (n, 3)
        Unit vectors of at least one star.

    Returns
    -------
    two float64 arrays of shape (3,)
        Unit vectors.
    """
    pole = np.linalg.eigh(xyz.T @ xyz).eigenvectors[:, 0]
    towards = xyz.sum(axis=0)
    middle = towards - pole * (pole @ towards)
    return pole, middle / np.linalg.norm(middle)


def local_axes(figure: Figure, ra: float, dec: float, radius_deg: float) -> WCSAxes:
    """Equal-area zenithal axes around an ICRS point, ra growing to the left."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---ZEA", "DEC--ZEA"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [0, 0]
    wcs.wcs.cdelt = [-1, 1]
    axes = figure.add_subplot(projection=wcs)
    half = np.degrees(2 * np.sin(np.radians(radius_deg) / 2))
    axes.set(xlim=(-half, half), ylim=(-half, half))
    edge = np.linspace(-half, half, 50)
    bottom = wcs.wcs_pix2world(edge, np.full(50, -half), 1)[0]
    left = wcs.wcs_pix2world(np.full(50, -half), edge, 1)[1]
    for coordinate, label, side, shown in zip(
        axes.coords, ("RA", "Dec"), ("b", "l"), (bottom, left), strict=True
    ):
        step = _tick_step(float(np.ptp(np.unwrap(shown, period=360))))
        coordinate.set_axislabel(label)
        coordinate.set_major_formatter("d" if step >= 1 else "d.d")
        coordinate.set_ticks(spacing=step * u.deg)
        # Left to itself, WCSAxes may label an axis at the top or right.
        coordinate.set_ticks_position(side)
        coordinate.set_ticklabel_position(side)
        coordinate.set_axislabel_position(side)
    axes.coords.grid(color="0.85", linewidth=0.5)
    return axes


def _tick_step(extent_deg: float) -> float:
    """The least step that gives an edge of this extent at most six ticks."""
    return next((step for step in TICK_STEPS_DEG if extent_deg / step <= 6), TICK_STEPS_DEG[-1])


def local_xy(axes: WCSAxes, points: Directions) -> tuple[Array, Array]:
    """Where `local_axes` shows the points, in its own data coordinates."""
    x, y = axes.wcs.wcs_world2pix(points.ra, points.dec, 1)
    return x, y


def galactic_axes(figure: Figure) -> GeoAxes:
    """All-sky Mollweide axes in Galactic coordinates, l growing to the left."""
    axes = figure.add_subplot(projection="mollweide")
    assert isinstance(axes, GeoAxes)
    # Grids come first: they bring formatters of their own.
    axes.set_longitude_grid(60)
    axes.set_latitude_grid(30)
    axes.set_longitude_grid_ends(75)
    # The longitude of these axes grows to the right: positions are mirrored, and so labels too.
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{-np.degrees(x) % 360:.0f}°"))
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda y, _: f"{np.degrees(y):.0f}°".replace("-", "−"))
    )
    axes.grid(color="0.85", linewidth=0.5)
    axes.set(xlabel="Galactic longitude", ylabel="Galactic latitude")
    return axes


def galactic_xy(points: Directions) -> tuple[Array, Array]:
    """Where `galactic_axes` shows the points, in rad, with breaks (NaN) at the map's edge."""
    galactic = points.coordinates.galactic
    x = -galactic.l.wrap_at(180 * u.deg).rad
    y = galactic.b.rad
    breaks = np.flatnonzero(np.abs(np.diff(x)) > np.pi) + 1
    return np.insert(x, breaks, np.nan), np.insert(y, breaks, np.nan)
