"""The stars of another source with their positions dealt out anew: a source of null skies."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import healpy
import numpy as np
from astropy.table import Table

from viamachinae.config import CellConfig
from viamachinae.query.source import Source
from viamachinae.score.seeds import seed_sequence
from viamachinae.sky import Patch
from viamachinae.validate.shuffle import FINER, Ints, cell_numbers, deal, spread


@dataclass(frozen=True)
class Shuffle:
    """What decides how stars are dealt out.

    Attributes
    ----------
    cells : CellConfig
        Sizes of the cells.
    evenly : bool
        Spread the stars over each pixel instead of dealing their positions out.
    pm_width_masyr : float
        Width of a signal region.
    colour, mag : str
        The columns that are colour and magnitude; one that the source lacks is left out.
    seed, draw : int
        Seed of the scan, and number of the null sky.
    """

    cells: CellConfig
    evenly: bool
    pm_width_masyr: float
    colour: str
    mag: str
    seed: int
    draw: int

    def widths(self, columns: Collection[str]) -> dict[str, float]:
        """Sizes of a cell in the photometric columns that are there, mag."""
        sizes = {self.colour: self.cells.colour_mag, self.mag: self.cells.mag_mag}
        return {name: size for name, size in sizes.items() if size and name in columns}

    @property
    def pm_size_masyr(self) -> float:
        """Size of a cell in each proper motion, infinite where there are none."""
        widths = self.cells.pm_widths
        return np.inf if widths is None else widths * self.pm_width_masyr


class ShuffledSky:
    """Stars that exchanged their positions (a `viamachinae.query.source.Source`).

    They do so within HEALPix pixels of the sky (`cells.nside`, RING, ICRS), so that a star has
    the same new place in whatever disc it is asked for. Its identifier, photometry and
    parallax go with it; so does its proper motion, as a vector in the tangent frame at the
    middle of the pixel, where the cells are made too: near a pole the same pmra and pmdec would
    point elsewhere.

    Parameters
    ----------
    source : Source
        Where the stars come from; it is asked for all pixels that a disc touches.
    how : Shuffle
    """

    def __init__(self, source: Source, how: Shuffle) -> None:
        self.name = f"{source.name}, shuffled"
        self._source = source
        self._how = how

    def columns(self) -> frozenset[str]:
        """Names of the columns of the source."""
        return self._source.columns()

    def count(self, ra: float, dec: float, radius_deg: float) -> int:
        """Number of stars in the disc before they were dealt out."""
        return self._source.count(ra, dec, radius_deg)

    def fingerprint(self) -> str:
        """Hash of the source's fingerprint and all that decides the shuffle."""
        text = f"{self._source.fingerprint()} {self._how!r}"
        return hashlib.sha256(text.encode()).hexdigest()

    def stars(self, ra: float, dec: float, radius_deg: float, columns: Sequence[str]) -> Table:
        """All stars whose new place is within `radius_deg` of the ICRS point (`ra`, `dec`).

        Returns
        -------
        astropy.table.Table
            The asked `columns` as the source gives them, sorted by ``source_id``.

        Raises
        ------
        BadInputError
            As the source does.
        """
        nside, how = self._how.cells.nside, self._how
        half_deg = float(np.degrees(healpy.max_pixrad(nside)))
        widths = how.widths(self._source.columns())
        needed = dict.fromkeys([*columns, "source_id", "ra", "dec", "pmra", "pmdec", *widths])
        reach = min(radius_deg + 2 * half_deg, 180.0)
        taken = self._source.stars(ra, dec, reach, list(needed))
        pixel = healpy.ang2pix(nside, taken["ra"].data, taken["dec"].data, lonlat=True)
        disc = Patch("disc", ra, dec, radius_deg, radius_deg)
        # Pixels that reach into the disc; all their stars were taken.
        held = np.unique(pixel)
        middle_ra, middle_dec = healpy.pix2ang(nside, held, lonlat=True)
        near = disc.separation_deg(middle_ra, middle_dec) < radius_deg + half_deg
        for number, at_ra, at_dec in zip(
            held[near], middle_ra[near], middle_dec[near], strict=True
        ):
            middle = Patch("pixel", float(at_ra), float(at_dec), 180.0, 180.0)
            self._deal(taken, np.flatnonzero(pixel == number), int(number), middle, widths)
        dealt = np.isin(pixel, held[near])
        inside = disc.separation_deg(taken["ra"].data, taken["dec"].data) < radius_deg
        return taken[list(columns)][dealt & inside]

    def _deal(
        self, stars: Table, rows: Ints, pixel: int, middle: Patch, widths: dict[str, float]
    ) -> None:
        """Give the stars in `rows`, all of a pixel, their new places."""
        how = self._how
        rng = np.random.default_rng(seed_sequence(how.seed, "shuffle", how.draw, pixel))
        ra, dec, pmra, pmdec = (stars[name].data[rows] for name in ("ra", "dec", *_MOTION))
        frame = middle.to_frame(ra, dec, pmra, pmdec)
        if how.evenly:
            places = spread(ra, dec, how.cells.nside * FINER, rng)
            phi, lam, _, _ = middle.to_frame(*places, np.zeros(len(ra)), np.zeros(len(ra)))
        else:
            photometry = [stars[name].data[rows] for name in widths]
            cell = cell_numbers(
                [frame.pm_phi, frame.pm_lam, *photometry],
                [how.pm_size_masyr, how.pm_size_masyr, *widths.values()],
            )
            place = deal(cell, rng)
            phi, lam = frame.phi[place], frame.lam[place]
        new = middle.from_frame(phi, lam, frame.pm_phi, frame.pm_lam)
        for name, values in new._asdict().items():
            stars[name][rows] = values


_MOTION = ("pmra", "pmdec")
