"""A lake, ours or another HATS catalogue of Gaia's stars, as a source of stars."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from astropy.table import Column, Table

from viamachinae.catalog.release import RELEASES
from viamachinae.config import LakeQuery
from viamachinae.errors import BadInputError
from viamachinae.query.columns import check_type, gaia_names, masked_to_nan, missing_column
from viamachinae.query.lake.folder import Lake
from viamachinae.query.lake.hats import HatsCatalogue
from viamachinae.query.lake.opening import open_hats
from viamachinae.query.lake.place import open_place
from viamachinae.query.parquet import arrow_dtype, arrow_values

_ALWAYS_NEEDED = ("source_id", "ra", "dec", "pmra", "pmdec")


class LakeSource:
    """A lake or HATS catalogue (a `viamachinae.query.source.Source`), read in place.

    Parameters
    ----------
    config : LakeQuery
        Where it is, and the Gaia release whose names and units its columns follow.

    Attributes
    ----------
    name : str
        Its path or URL.

    Raises
    ------
    BadInputError
        If there is none, it is of another release, or a column that every scan needs is missing
        or mistyped.
    """

    def __init__(self, config: LakeQuery) -> None:
        self.name = config.path
        place = open_place(config.path)
        lake = Lake.open(config.path) if Lake.is_at(place) else open_hats(place)
        self._own_names = gaia_names(self.name, lake.schema.names, config.columns)
        if isinstance(lake, HatsCatalogue):
            lake = replace(lake, star=self._own_names.get("source_id", "source_id"))
        self._lake = lake
        self._release = config.release
        if isinstance(self._lake, Lake) and self._lake.release != config.release:
            raise BadInputError(
                f"{self.name} is a lake of {self._lake.release}; set query.release: "
                f"{self._lake.release}, or give a lake of {config.release}"
            )
        self._check(_ALWAYS_NEEDED)

    def columns(self) -> frozenset[str]:
        """Names by which columns can be asked: Gaia's through the column map, and its own."""
        return frozenset(self._own_names)

    def stars(self, ra: float, dec: float, radius_deg: float, columns: Sequence[str]) -> Table:
        """All stars within `radius_deg` of the ICRS point (`ra`, `dec`), each once.

        Returns
        -------
        astropy.table.Table
            The asked `columns` with Gaia's units, sorted by ``source_id`` (int64); other numbers
            are float64 with NaN where there is no value, or int64 and bool where there are no
            gaps.

        Raises
        ------
        UnprocessableError
            If a pixel that may hold such stars is not in the lake, or its file is damaged.
        BadInputError
            If a column is missing or mistyped.
        """
        asked = list(dict.fromkeys(columns))
        self._check(asked)
        own = self._own_names
        found = self._lake.read_disc(ra, dec, radius_deg, [own[name] for name in asked])
        due = RELEASES[self._release].columns
        units = {name: due[name].unit if name in due else None for name in asked}
        return Table(
            [
                Column(masked_to_nan(arrow_values(found[own[name]])), name, unit=units[name])
                for name in asked
            ],
            copy=False,
        )

    def count(self, ra: float, dec: float, radius_deg: float) -> int:
        """Stars in the disc: those of each pixel, by its share in the disc.

        Raises
        ------
        BadInputError
            If a pixel that may hold such stars is not in the lake.
        """
        return self._lake.count(ra, dec, radius_deg)

    def fingerprint(self) -> str:
        """Hash of the release, the column map and the records of all pixels.

        A foreign catalogue has no records: its own description and the sizes of its files stand
        for its stars.
        """
        names = sorted(self._own_names.items())
        text = f"{self._release} {names} {self._lake.fingerprint()}"
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def _check(self, columns: Sequence[str]) -> None:
        schema, due = self._lake.schema, RELEASES[self._release].columns
        for name in columns:
            if name not in self._own_names:
                raise missing_column(self.name, name, schema.names)
            own = self._own_names[name]
            check_type(self.name, own, arrow_dtype(schema.field(own).type), due.get(name))
