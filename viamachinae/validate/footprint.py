"""Where a catalogue can hold a star: within its patches, where it has stars, outside the masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import healpy
import numpy as np
from numpy.typing import NDArray

from viamachinae.config import MaskConfig
from viamachinae.errors import BadInputError
from viamachinae.preprocess.masks import at_known
from viamachinae.simulate.observation import Columns
from viamachinae.simulate.pixels import in_disc
from viamachinae.sky import Patch, direction, east_north

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

# The catalogue covers the HEALPix pixels that hold stars, the finest with this many on average:
# one of them is empty by chance once in 500 million (ours). Coarsest and finest levels tried.
STARS_PER_PIXEL = 20
COARSEST, FINEST = 3, 9
# Places tried for a stream before the footprint is given up as all masked.
MAX_TRIES = 1000

_PLACED = ("ra", "dec", "pmra", "pmdec")


@dataclass(frozen=True)
class Footprint:
    """The part of the sky in which a star can be observed; make it with `footprint_of`.

    Attributes
    ----------
    patches : tuple of Patch
        Stars can be seen in their training discs, streams are centred in their evaluation discs.
    masks : tuple of MaskConfig
        Those of mode ``mask``.
    level : int
        HEALPix level of `pixels`.
    pixels : int64 array of shape (n_pixels,)
        The NESTED ICRS pixels that hold stars, ascending.
    """

    patches: tuple[Patch, ...]
    masks: tuple[MaskConfig, ...]
    level: int
    pixels: Ints

    def holds(self, columns: Columns) -> Bools:
        """Whether stars can be observed, from their ``ra``, ``dec``, ``pmra`` and ``pmdec``."""
        ra, dec = columns["ra"], columns["dec"]
        found = np.zeros(len(ra), dtype=np.bool_)
        masked = np.zeros(len(ra), dtype=np.bool_)
        for patch in self.patches:
            inside = in_disc(ra, dec, (patch.ra, patch.dec), patch.radius_deg)
            found |= inside
            here = np.flatnonzero(inside)
            for rule in at_known({n: columns[n][here] for n in _PLACED}, patch, self.masks).rules:
                if rule.keep is not None:
                    masked[here[~rule.keep]] = True
        pixel = healpy.ang2pix(2**self.level, ra, dec, nest=True, lonlat=True)
        return found & ~masked & np.isin(pixel, self.pixels)

    def draw_place(
        self, rng: np.random.Generator, pmra: float, pmdec: float
    ) -> tuple[float, float]:
        """A point (ra, dec; deg) uniform over what the evaluation discs hold of the footprint.

        Parameters
        ----------
        rng : numpy.random.Generator
        pmra, pmdec : float
            Motion of what is to be placed, mas/yr, which masks may ask for.

        Raises
        ------
        BadInputError
            If no place is left.
        """
        height = np.array([1 - np.cos(np.radians(p.evaluation_radius_deg)) for p in self.patches])
        for _ in range(MAX_TRIES):
            patch = self.patches[rng.choice(len(height), p=height / height.sum())]
            ra, dec = _in_disc_of(rng, patch)
            one = {"ra": ra, "dec": dec, "pmra": pmra, "pmdec": pmdec}
            columns = {name: np.array([value]) for name, value in one.items()}
            # Where discs overlap a point would be drawn as often as there are discs.
            times = sum(
                bool(in_disc(columns["ra"], columns["dec"], (p.ra, p.dec), p.evaluation_radius_deg))
                for p in self.patches
            )
            if rng.random() * max(times, 1) < 1 and self.holds(columns)[0]:
                return ra, dec
        raise BadInputError(
            "preprocess.masks: leave no place for a stream in what the patches hold of the "
            "catalogue; make the masks smaller or choose other patches"
        )


def _in_disc_of(rng: np.random.Generator, patch: Patch) -> tuple[float, float]:
    """A point uniform over a patch's evaluation disc, deg."""
    east, north = east_north(patch.ra, patch.dec)
    cosine = 1 - rng.random() * (1 - np.cos(np.radians(patch.evaluation_radius_deg)))
    turn = 2 * np.pi * rng.random()
    across = np.cos(turn) * north + np.sin(turn) * east
    x, y, z = cosine * direction(patch.ra, patch.dec) + np.sqrt(1 - cosine**2) * across
    return float(np.degrees(np.arctan2(y, x)) % 360), float(
        np.degrees(np.arcsin(np.clip(z, -1, 1)))
    )


def footprint_of(
    ra: Array, dec: Array, patches: Sequence[Patch], masks: Sequence[MaskConfig]
) -> Footprint:
    """The footprint of a catalogue.

    Parameters
    ----------
    ra, dec : float64 arrays of shape (n,)
        Its stars, ICRS, deg.
    patches : sequence of Patch
    masks : sequence of MaskConfig
        Those of mode ``label`` take no star away.

    Raises
    ------
    BadInputError
        If there is no star.
    """
    if not len(ra):
        raise BadInputError(
            "the catalogue holds no star in any patch; check `sky` against the part of the sky "
            "that it covers"
        )
    level, pixels = FINEST, np.empty(0, dtype=np.int64)
    for level in range(FINEST, COARSEST - 1, -1):
        pixels = np.unique(healpy.ang2pix(2**level, ra, dec, nest=True, lonlat=True))
        if len(ra) >= STARS_PER_PIXEL * len(pixels):
            break
    removing = tuple(mask for mask in masks if mask.mode == "mask")
    return Footprint(tuple(patches), removing, level, pixels.astype(np.int64))
