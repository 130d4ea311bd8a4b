"""The track of a candidate: its own great-circle frame, and nodes along the line in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.coordinates import ICRS, SkyCoord, SkyOffsetFrame
from astropy.stats import mad_std
from astropy.table import Table
from numpy.typing import ArrayLike, NDArray

from viamachinae.inspect.exports import MASYR, Field, conform
from viamachinae.inspect.projection import Directions, directions, pole_and_middle, vectors

Array = NDArray[np.float64]

# Nodes stand for this much of the line, and for at least so many stars (ours).
STEP_DEG = 2.0
MIN_STARS = 3

TRACK = (
    Field("ra", np.float64, u.deg, "Right ascension of the node, ICRS", "pos.eq.ra;meta.main"),
    Field("dec", np.float64, u.deg, "Declination of the node, ICRS", "pos.eq.dec;meta.main"),
    Field("pmra", np.float64, MASYR, "Median motion in ra times cos(dec)", "pos.pm;pos.eq.ra"),
    Field("pmdec", np.float64, MASYR, "Median motion in dec", "pos.pm;pos.eq.dec"),
    Field("phi1", np.float64, u.deg, "Median angle along the great circle", "pos.angDistance"),
    Field("phi2", np.float64, u.deg, "Median angle across the great circle", "pos.angDistance"),
    Field("pm_phi1", np.float64, MASYR, "Median motion in phi1 times cos(phi2)", "pos.pm"),
    Field("pm_phi2", np.float64, MASYR, "Median motion in phi2", "pos.pm"),
    Field(
        "width_deg",
        np.float64,
        u.deg,
        "Spread of phi2 (1.4826 times the median absolute deviation) of the line stars, which the "
        "line finder cuts at half the width of its box",
        "phys.angSize",
    ),
    Field("n_stars", np.int64, None, "Line stars of the node", "meta.number"),
)


class FrameMotions(NamedTuple):
    """Positions (deg) and proper motions (mas/yr, pm_phi1 times cos phi2), shape (n,)."""

    phi1: Array
    phi2: Array
    pm_phi1: Array
    pm_phi2: Array


@dataclass(frozen=True)
class StreamFrame:
    """A frame whose equator is a great circle: phi1 runs along it and grows towards the east.

    It is astropy's `SkyOffsetFrame` with this origin and rotation. Its proper motions are as
    observed: the motion of the Sun is not taken out.

    Attributes
    ----------
    origin_ra, origin_dec : float
        Where phi1 = phi2 = 0, ICRS, deg.
    rotation_deg : float
        Position angle of the direction in which phi2 grows.
    """

    origin_ra: float
    origin_dec: float
    rotation_deg: float

    @property
    def frame(self) -> SkyOffsetFrame:
        """As astropy has it."""
        origin = SkyCoord(self.origin_ra * u.deg, self.origin_dec * u.deg)
        return SkyOffsetFrame(origin=origin, rotation=self.rotation_deg * u.deg)

    def transform(
        self, ra: ArrayLike, dec: ArrayLike, pmra: ArrayLike, pmdec: ArrayLike
    ) -> FrameMotions:
        """ICRS positions (deg) and proper motions (mas/yr), shape (n,), to the frame."""
        if np.size(ra) == 0:  # astropy loses the proper motions of no stars
            return FrameMotions(*np.empty((4, 0)))
        there = ICRS(
            np.asarray(ra) * u.deg,
            np.asarray(dec) * u.deg,
            pm_ra_cosdec=np.asarray(pmra) * MASYR,
            pm_dec=np.asarray(pmdec) * MASYR,
        ).transform_to(self.frame)
        return FrameMotions(
            there.lon.wrap_at(180 * u.deg).deg,
            there.lat.deg,
            there.pm_lon_coslat.to_value(MASYR),
            there.pm_lat.to_value(MASYR),
        )

    def sky(self, phi1: ArrayLike, phi2: ArrayLike) -> Directions:
        """ICRS places of points of the frame, deg, shape (n,)."""
        lon, lat = np.asarray(phi1) * u.deg, np.asarray(phi2) * u.deg
        icrs = SkyCoord(lon, lat, frame=self.frame).icrs
        return Directions(icrs.ra.deg, icrs.dec.deg)


def stream_frame(line: Directions) -> StreamFrame:
    """The frame of the great circle nearest to the line stars, its origin in their middle."""
    pole, middle = pole_and_middle(vectors(line))
    origin = directions(middle)
    ra, dec = np.radians(float(origin.ra)), np.radians(float(origin.dec))
    along = np.cross(pole, middle)
    east = along @ np.array([-np.sin(ra), np.cos(ra), 0.0])
    north = along @ np.array([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
    angle = np.degrees(np.arctan2(east, north)) % 180
    return StreamFrame(float(origin.ra), float(origin.dec), float(angle - 90))


def track(line: Table, frame: StreamFrame) -> Table:
    """Nodes every `STEP_DEG` along the line: medians of its stars, of the columns of `TRACK`.

    Where fewer than `MIN_STARS` lie there is no node.

    Parameters
    ----------
    line : Table
        Line stars with ra, dec (deg), pmra, pmdec (mas/yr).
    frame : StreamFrame
        Of these stars; it is told in the table's metadata.
    """
    motions = [np.asarray(line[name], dtype=np.float64) for name in ("ra", "dec", "pmra", "pmdec")]
    stars = frame.transform(*motions)
    step = np.round(stars.phi1 / STEP_DEG).astype(np.int64)
    rows = []
    for here in (step == number for number in np.unique(step)):
        if np.count_nonzero(here) < MIN_STARS:
            continue
        medians = {name: np.median(values[here]) for name, values in stars._asdict().items()}
        medians |= {"pmra": np.median(motions[2][here]), "pmdec": np.median(motions[3][here])}
        place = frame.sky(medians["phi1"], medians["phi2"])
        width = mad_std(stars.phi2[here])
        medians |= {"ra": float(place.ra), "dec": float(place.dec), "width_deg": float(width)}
        rows.append({**medians, "n_stars": int(np.count_nonzero(here))})
    names = [field.name for field in TRACK]
    table = conform(Table(rows=rows, names=names) if rows else Table(names=names), TRACK)
    table.meta["frame"] = {
        "kind": "astropy SkyOffsetFrame about an ICRS origin; proper motions as observed",
        "origin_ra_deg": frame.origin_ra,
        "origin_dec_deg": frame.origin_dec,
        "rotation_deg": frame.rotation_deg,
    }
    return table
