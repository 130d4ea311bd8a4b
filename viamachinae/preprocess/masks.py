"""Stars at known objects: out of training and evaluation, or kept under the object's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import healpy
import numpy as np
from numpy.typing import NDArray

from viamachinae.catalog.known import KnownObject, known_of
from viamachinae.catalog.tracks import Feet, Track, feet, motion_at, pieces
from viamachinae.config import MaskConfig
from viamachinae.errors import BadInputError
from viamachinae.preprocess.cutflow import Rule
from viamachinae.sky import Patch, direction

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

# Nodes of the catalogue's tracks are no farther apart.
STEP_DEG = 1.0
# Pixels of 3.4 square deg sort the stars.
NSIDE = 32


class AtKnown(NamedTuple):
    """Which stars the masks take.

    Attributes
    ----------
    rules : list of Rule
        ``mask_<kind>`` or ``label_<kind>``; stars at an object fail.
    name : str array of shape (n,)
        The object's name, empty for stars at none.
    """

    rules: list[Rule]
    name: NDArray[np.str_]


def at_known(columns: Mapping[str, Array], patch: Patch, masks: Sequence[MaskConfig]) -> AtKnown:
    """Find the stars of a patch that lie at known objects.

    Only pieces of objects that reach into the patch are looked at, and of its stars only those in
    the HEALPix pixels about a piece. A star at several objects gets the name of the nearest one.

    Parameters
    ----------
    columns : mapping of str to float64 array of shape (n,)
        Finite ``ra``, ``dec`` (deg), ``pmra``, ``pmdec`` (mas/yr).
    patch : Patch
        The disc that holds the stars.
    masks : sequence of MaskConfig
        Which objects, how near, and whether proper motions must agree.

    Raises
    ------
    BadInputError
        If a mask names an object that the catalogue lacks.
    """
    n = len(columns["ra"])
    nearest, owner = np.full(n, np.inf), np.full(n, -1)
    rules, names, stars = [], [], None
    for config in masks:
        chosen, keep = _chosen(config), np.ones(n, dtype=np.bool_)
        for one in chosen:
            names.append(one.name)
            for piece in _pieces_within(one, patch, config):
                stars = stars or _by_pixel(columns)
                rows, separation = _stars_at(piece, one, stars, columns, config)
                keep[rows] = False
                nearer = separation < nearest[rows]
                nearest[rows[nearer]] = separation[nearer]
                owner[rows[nearer]] = len(names) - 1
        rules.append(Rule(f"{config.mode}_{config.objects}", _text(config, chosen), keep))
    return AtKnown(rules, np.array([*names, ""])[owner])


class _Pixels(NamedTuple):
    """Directions of stars of shape (n, 3); their rows by HEALPix pixel, and these pixels."""

    towards: Array
    rows: Ints
    pixel: Ints

    def near(self, towards: Array, radius_deg: float) -> Ints:
        """Rows of the stars in the pixels that a disc about a direction touches."""
        touched = healpy.query_disc(NSIDE, towards, np.radians(radius_deg), inclusive=True)
        begin, end = (np.searchsorted(self.pixel, touched, side) for side in ("left", "right"))
        runs = [self.rows[b:e] for b, e in zip(begin, end, strict=True)]
        return np.concatenate([*runs, np.empty(0, dtype=np.int64)])


def _by_pixel(columns: Mapping[str, Array]) -> _Pixels:
    towards = direction(columns["ra"], columns["dec"])
    pixel = healpy.vec2pix(NSIDE, *towards.T)
    rows = np.argsort(pixel, kind="stable")
    return _Pixels(towards, rows, pixel[rows])


def _chosen(config: MaskConfig) -> list[KnownObject]:
    """The objects that the configuration means and that can be told by what it goes by."""
    known = known_of(config.objects)
    missing = sorted(set(config.names) - {one.name for one in known})
    if missing:
        raise BadInputError(
            f"preprocess.masks names {', '.join(missing)}, which is no {config.objects} of the "
            "catalogue; `viamachinae/catalog/data` lists the names"
        )
    return [
        one
        for one in known
        if (not config.names or one.name in config.names)
        and (config.by == "position" or one.has_pm)
    ]


def _reach_deg(one: KnownObject, config: MaskConfig) -> float:
    return one.reach_deg(config.sizes, config.min_radius_deg, config.max_radius_deg)


def _pieces_within(one: KnownObject, patch: Patch, config: MaskConfig) -> list[Track]:
    limit = np.radians(patch.radius_deg + _reach_deg(one, config) + STEP_DEG)
    centre = direction(patch.ra, patch.dec)
    near = one.track.towards @ centre > np.cos(np.minimum(limit, np.pi))
    return [piece for piece, inside in zip(pieces(one.track), near, strict=False) if inside]


def _stars_at(
    piece: Track,
    one: KnownObject,
    stars: _Pixels,
    columns: Mapping[str, Array],
    config: MaskConfig,
) -> tuple[Ints, Array]:
    """Rows of the stars at a piece of an object, and their distance from it in deg."""
    reach = _reach_deg(one, config)
    rows = stars.near(piece.towards[0], reach + STEP_DEG)
    where = feet(piece, stars.towards[rows])
    inside = where.separation_deg < reach
    rows = rows[inside]
    where = Feet(where.separation_deg[inside], where.segment[inside], where.share[inside])
    if config.by == "position_pm":
        pmra, pmdec = motion_at(piece, where, columns["ra"][rows], columns["dec"][rows])
        difference = np.hypot(columns["pmra"][rows] - pmra, columns["pmdec"][rows] - pmdec)
        inside = difference < config.pm_radius_masyr
        return rows[inside], where.separation_deg[inside]
    return rows, where.separation_deg


def _text(config: MaskConfig, chosen: Sequence[KnownObject]) -> str:
    motion = ""
    if config.by == "position_pm":
        motion = f" and {config.pm_radius_masyr:g} mas/yr"
    return (
        f"not within {config.sizes:g} sizes ({config.min_radius_deg:g} to "
        f"{config.max_radius_deg:g} deg){motion} of one of {len(chosen)} known objects "
        f"({config.objects})"
    )
