"""The simulated sky as a source of stars: a smooth Milky Way and injected streams."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

import astropy.units as u
import numpy as np
from astropy.table import Table

from viamachinae.catalog import ridge_lines
from viamachinae.config import SimulateQuery
from viamachinae.errors import BadInputError
from viamachinae.simulate import galaxy, pixels
from viamachinae.simulate.observation import Columns
from viamachinae.simulate.streams import draw_streams

# Raised whenever the same configuration and seed no longer give the same stars.
MODEL_VERSION = 1

UNITS: dict[str, u.UnitBase | None] = {
    "source_id": None,
    "ra": u.deg,
    "dec": u.deg,
    "parallax": u.mas,
    "parallax_error": u.mas,
    "pmra": u.mas / u.yr,
    "pmra_error": u.mas / u.yr,
    "pmdec": u.mas / u.yr,
    "pmdec_error": u.mas / u.yr,
    "phot_g_mean_mag": u.mag,
    "bp_rp": u.mag,
    "ruwe": None,
}
# Points over which the expected surface density of a disc is averaged.
COUNT_POINTS = 200


class SimulatedSky:
    """A simulated Gaia DR3 catalogue (a `viamachinae.query.source.Source`).

    A star has the same id and data in whatever disc it is asked for: the galaxy is drawn pixel
    by pixel from (seed, pixel), each stream once from (seed, name of the stream).

    Parameters
    ----------
    config : SimulateQuery
    seed : int
        Not negative.

    Raises
    ------
    BadInputError
        If two streams share a name.
    """

    def __init__(self, config: SimulateQuery, seed: int) -> None:
        names = [stream.name for stream in config.streams]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise BadInputError(
                f"query.streams holds {', '.join(twice)} more than once; give each stream its "
                "own name"
            )
        self.name = "simulated sky"
        self._config = config
        self._seed = seed

    def columns(self) -> frozenset[str]:
        """Names of the columns that `stars` can give."""
        return frozenset(UNITS)

    def stars(self, ra: float, dec: float, radius_deg: float, columns: Sequence[str]) -> Table:
        """All stars within `radius_deg` of the ICRS point (`ra`, `dec`), each once.

        Returns
        -------
        astropy.table.Table
            The asked `columns` with units, sorted by ``source_id`` (int64); floats are float64
            and finite.

        Raises
        ------
        BadInputError
            If a column is not one of `columns()`, or a stream cannot be drawn.
        """
        unknown = sorted(set(columns) - set(UNITS))
        if unknown:
            raise BadInputError(
                f"the simulated sky has no column {', '.join(unknown)}; it has {', '.join(UNITS)}"
            )
        centre, wanted = (ra, dec), {"source_id", *columns}
        parts = [
            _cut(
                galaxy.draw_pixel(self._config.galaxy, self._seed, int(pixel)),
                centre,
                radius_deg,
                wanted,
            )
            for pixel in pixels.touching(ra, dec, radius_deg)
        ]
        parts.append(_cut(self._streams[0], centre, radius_deg, wanted))
        joined = {name: np.concatenate([part[name] for part in parts]) for name in wanted}
        order = np.argsort(joined["source_id"])
        table = Table()
        for name in columns:
            table[name] = joined[name][order]
            table[name].unit = UNITS[name]
        return table

    def count(self, ra: float, dec: float, radius_deg: float) -> int:
        """Expected number of galaxy stars in the disc plus its stream stars, without drawing."""
        points = pixels.spiral((ra, dec), radius_deg, COUNT_POINTS)
        area_sr = 2 * np.pi * (1 - np.cos(np.radians(min(radius_deg, 180.0))))
        expected = area_sr * galaxy.surface_density(self._config.galaxy, points).mean()
        injected = self._streams[0]
        inside = pixels.in_disc(injected["ra"], injected["dec"], (ra, dec), radius_deg)
        return int(np.rint(expected)) + int(inside.sum())

    def fingerprint(self) -> str:
        """Hash of the configuration, the seed, the ridge lines and the version of the model."""
        digest = hashlib.sha256(ridge_lines.TABLE.read_bytes())
        digest.update(f"{self._config.model_dump_json()} {self._seed} {MODEL_VERSION}".encode())
        return digest.hexdigest()

    def truth(self) -> Table:
        """All injected stars without errors.

        Returns
        -------
        astropy.table.Table
            ``source_id``, ``stream`` (name), ``ra``, ``dec``, ``phi1``, ``phi2`` (deg, along and
            across the stream), ``distance_kpc``, ``pmra``, ``pmdec`` (true, mas/yr),
            ``phot_g_mean_mag``, ``bp_rp`` (true, mag), sorted by ``source_id``.
        """
        return self._streams[1].copy()

    @cached_property
    def _streams(self) -> tuple[Columns, Table]:
        return draw_streams(self._config.streams, self._config.galaxy.max_mag, self._seed)


def _cut(
    drawn: Columns,
    centre: tuple[float, float],
    radius_deg: float,
    columns: set[str],
) -> Columns:
    inside = pixels.in_disc(drawn["ra"], drawn["dec"], centre, radius_deg)
    return {name: drawn[name][inside] for name in columns}
