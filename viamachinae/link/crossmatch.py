"""Cross-match of stream candidates with known clusters, dwarf galaxies and streams (ours).

A line star is at a known object if it lies near it, and moves as the object does there. The
match of a candidate is the object that most of its line stars are at, if these are enough; of
equal ones a point rather than a track, then the one with the smaller reach. It is called

- ``near cluster``, ``near dwarf`` (with the Magellanic Clouds) for a point;
- ``known`` for the track of a stream;
- ``extension`` where most of these stars lie beyond the ends of the track, which is continued
  along great circles with its last proper motion;
- ``new`` where no object holds enough of them.

Objects without proper motions count only where no other one matches; they need a larger share
of the line stars, and are not continued.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from viamachinae.catalog.known import KnownObject
from viamachinae.catalog.tracks import extended, feet, motion_at
from viamachinae.config import CrossmatchConfig
from viamachinae.link.hough import Bools, Floats, Ints
from viamachinae.sky import direction

_NAMES = {"cluster": "near cluster", "dwarf": "near dwarf", "cloud": "near dwarf"}


class LineStars(NamedTuple):
    """The line stars of a candidate: ICRS deg, mas/yr, arrays of shape (n,)."""

    source_id: Ints
    ra: Floats
    dec: Floats
    pmra: Floats
    pmdec: Floats


class Match(NamedTuple):
    """What a candidate is.

    Attributes
    ----------
    match : str
        ``known``, ``extension``, ``near cluster``, ``near dwarf`` or ``new``.
    name : str
        The object's name, empty for a new one; so are the other values NaN.
    separation_deg : float
        Median distance of the line stars from the object.
    pm_difference : float
        Length of the median difference of proper motions, star less object, mas/yr; NaN where
        the object's is not known.
    share : float
        Share of the line stars at the object.
    n_shared : float
        Line stars in the object's list of members; NaN where there is no list.
    """

    match: str
    name: str
    separation_deg: float
    pm_difference: float
    share: float
    n_shared: float


NEW = Match("new", "", np.nan, np.nan, np.nan, np.nan)


def crossmatch(
    stars: LineStars,
    known: Iterable[KnownObject],
    config: CrossmatchConfig,
    members: Mapping[str, Ints] | None = None,
) -> Match:
    """Find the known object that a candidate is.

    Parameters
    ----------
    stars : LineStars
        Of the candidate, one or more.
    known : iterable of KnownObject
        The catalogue.
    config : CrossmatchConfig
        Distances and shares.
    members : mapping of str to int64 array, optional
        ``source_id`` of the members of known objects, by name.
    """
    towards = direction(stars.ra, stars.dec)
    found = [_at(one, stars, towards, config) for one in known if _is_near(one, towards, config)]
    for with_pm, least in ((True, config.min_share), (False, config.min_share_without_pm)):
        enough = [one for one in found if one.known.has_pm == with_pm and one.share >= least]
        if enough:
            best = max(enough, key=lambda one: (one.share, one.is_point, -one.reach_deg))
            return _described(best, members or {}, stars)
    return NEW


class _At(NamedTuple):
    """How a candidate lies to an object: share of its stars there, and medians over all."""

    known: KnownObject
    is_point: bool
    reach_deg: float
    share: float
    mostly_beyond: bool
    separation_deg: float
    pm_difference: float


def _reach_deg(one: KnownObject, config: CrossmatchConfig) -> float:
    return one.reach_deg(config.sizes, config.min_radius_deg, config.max_radius_deg)


def _is_near(one: KnownObject, towards: Floats, config: CrossmatchConfig) -> bool:
    """Whether a node is so near to a star that the object may hold stars at all."""
    # Nodes are at most 1 deg apart.
    limit = config.max_radius_deg + config.extension_deg + 1
    return bool(np.max(one.track.towards @ towards.T) > np.cos(np.radians(limit)))


def _at(one: KnownObject, stars: LineStars, towards: Floats, config: CrossmatchConfig) -> _At:
    path, reach = one.track, _reach_deg(one, config)
    is_continued = len(path.towards) > 1 and one.has_pm and config.extension_deg > 0
    if is_continued:
        path = extended(path, config.extension_deg)
    where = feet(path, towards)
    at: Bools = where.separation_deg < reach
    beyond = np.zeros(len(at), dtype=np.bool_)
    if is_continued:
        beyond = (where.segment == 0) | (where.segment == len(path.towards) - 2)
    difference = np.nan
    if one.has_pm:
        pmra, pmdec = motion_at(path, where, stars.ra, stars.dec)
        off = stars.pmra - pmra, stars.pmdec - pmdec
        at &= np.hypot(off[0], off[1]) < config.pm_radius_masyr
        difference = float(np.hypot(np.median(off[0]), np.median(off[1])))
    return _At(
        one,
        one.kind != "stream",
        reach,
        float(at.mean()),
        bool(2 * np.count_nonzero(at & beyond) > np.count_nonzero(at)),
        float(np.median(where.separation_deg)),
        difference,
    )


def _described(best: _At, members: Mapping[str, Ints], stars: LineStars) -> Match:
    kind = _NAMES.get(best.known.kind, "extension" if best.mostly_beyond else "known")
    name = best.known.name
    n_shared = float(np.isin(stars.source_id, members[name]).sum()) if name in members else np.nan
    return Match(kind, name, best.separation_deg, best.pm_difference, best.share, n_shared)
