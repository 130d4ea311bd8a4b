"""Tracks on the sky: arcs of great circles from node to node, and a point is the shortest one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from viamachinae.sky import direction, east_north

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

# Nodes at an end of a track that say where it goes on: 5 steps of at most 1 deg (ours).
END_NODES = 6


class Track(NamedTuple):
    """Nodes of a track, one or more, in order.

    Attributes
    ----------
    towards : float64 array of shape (n_nodes, 3)
        ICRS unit vectors.
    motion : float64 array of shape (n_nodes, 3)
        Proper motion as a vector in the plane of the sky, mas/yr; NaN where not known.
    """

    towards: Array
    motion: Array


class Feet(NamedTuple):
    """Where points come nearest to a track, arrays of shape (n_points,).

    Attributes
    ----------
    separation_deg : float64
        Distance from the track.
    segment : int64
        Node before the foot.
    share : float64
        Way from that node to the next one, 0 to 1.
    """

    separation_deg: Array
    segment: Ints
    share: Array


def track(ra: Array, dec: Array, pmra: Array, pmdec: Array) -> Track:
    """A track from its nodes: ICRS deg and mas/yr (`pmra` times cos dec), shape (n_nodes,)."""
    east, north = east_north(ra, dec)
    return Track(direction(ra, dec), pmra[:, None] * east + pmdec[:, None] * north)


def feet(path: Track, points: Array) -> Feet:
    """The nearest points of a track.

    Parameters
    ----------
    path : Track
        Segments are shorter than 90 deg.
    points : float64 array of shape (n_points, 3)
        Unit vectors.
    """
    start = path.towards[: max(1, len(path.towards) - 1)]
    end = path.towards[-len(start) :]
    cosine = np.einsum("ij,ij->i", start, end)
    ahead = end - cosine[:, None] * start
    size = np.linalg.norm(ahead, axis=1)
    ahead /= np.where(size > 0, size, 1.0)[:, None]
    length = np.arctan2(size, cosine)
    x, y = points @ start.T, points @ ahead.T
    turn = np.clip(np.arctan2(y, x), 0, length)
    segment = np.argmax(np.cos(turn) * x + np.sin(turn) * y, axis=1)
    turn = turn[np.arange(len(points)), segment]
    foot = np.cos(turn)[:, None] * start[segment] + np.sin(turn)[:, None] * ahead[segment]
    chord = np.linalg.norm(points - foot, axis=1)
    share = turn / np.where(length > 0, length, 1.0)[segment]
    return Feet(np.degrees(2 * np.arcsin(np.minimum(chord / 2, 1))), segment, share)


def pieces(path: Track) -> list[Track]:
    """The segments of a track, each a track of two nodes; a point is the one piece of itself."""
    if len(path.towards) == 1:
        return [path]
    return [Track(*(part[i : i + 2] for part in path)) for i in range(len(path.towards) - 1)]


def motion_at(path: Track, where: Feet, ra: Array, dec: Array) -> tuple[Array, Array]:
    """Proper motion of a track at the feet of points, in the directions of these points.

    Parameters
    ----------
    path : Track
        The track.
    where : Feet
        Of the points.
    ra, dec : float64 arrays of shape (n_points,)
        The points, ICRS deg.

    Returns
    -------
    pmra, pmdec : float64 arrays of shape (n_points,)
        mas/yr, `pmra` times cos dec; NaN where the track has no proper motion.
    """
    after = np.minimum(where.segment + 1, len(path.motion) - 1)
    share = where.share[:, None]
    motion = (1 - share) * path.motion[where.segment] + share * path.motion[after]
    east, north = east_north(ra, dec)
    return np.einsum("ij,ij->i", motion, east), np.einsum("ij,ij->i", motion, north)


def extended(path: Track, by_deg: float) -> Track:
    """A track continued at both ends along great circles, by one node each.

    The components of the proper motion along and across the circle stay those of the end. A
    track of one node has no direction and stays as it is.
    """
    n = len(path.towards)
    if n == 1:
        return path
    ends = []
    for end, inner in ((0, min(END_NODES, n) - 1), (n - 1, n - min(END_NODES, n))):
        here, before = path.towards[end], path.towards[inner]
        pole = np.cross(before, here)
        pole /= np.linalg.norm(pole)
        turn = np.radians(by_deg)
        ahead = np.cross(pole, here)
        beyond = np.cos(turn) * here + np.sin(turn) * ahead
        ahead_there = np.cos(turn) * ahead - np.sin(turn) * here
        motion = path.motion[end]
        ends.append((beyond, (motion @ ahead) * ahead_there + (motion @ pole) * pole))
    (first, first_motion), (last, last_motion) = ends
    return Track(
        np.vstack([first, path.towards, last]),
        np.vstack([first_motion, path.motion, last_motion]),
    )
