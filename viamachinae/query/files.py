"""Stars from files on disk."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from astropy.table import Column, Table
from numpy.typing import ArrayLike, NDArray

from viamachinae.catalog.release import RELEASES
from viamachinae.config import FilesQuery
from viamachinae.errors import BadInputError
from viamachinae.query.catalogue import CatalogueFile
from viamachinae.query.columns import (
    check_type,
    gaia_names,
    masked_to_nan,
    missing_column,
    unit_factor,
)
from viamachinae.query.disc import Disc
from viamachinae.query.formats import open_file

logger = logging.getLogger("viamachinae.query")

_ALWAYS_NEEDED = ("ra", "dec", "pmra", "pmdec")
_POSITION = ("ra", "dec")
_ID = "source_id"


class FilesSource:
    """A catalogue in one file, or in several with the same columns.

    Opening reads what the files say of their columns and checks it; ECSV, VOTable and CSV files
    are parsed whole. Columns go by Gaia's names (through ``query.columns``) and by the files'
    own. A star without a position lies in no disc.

    Parameters
    ----------
    config : FilesQuery
        Which files, their column names and the Gaia release whose units they follow; a unit
        that a file states is converted to Gaia's.

    Attributes
    ----------
    name : str
        The path of the first file, and how many follow it.

    Raises
    ------
    BadInputError
        If a file is missing, empty, damaged or of an unknown format, or a column that every
        scan needs is missing, mistyped or there twice.
    """

    def __init__(self, config: FilesQuery) -> None:
        paths = config.path if isinstance(config.path, list) else [config.path]
        if not paths or len(set(paths)) < len(paths):
            raise BadInputError("query.path must name at least one file, and none of them twice")
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        self.name = f"{paths[0]}{more}"
        self._config = config
        self._due = RELEASES[config.release].columns
        self._files = [open_file(path) for path in paths]
        self._own_names = gaia_names(str(paths[0]), self._files[0].names, config.columns)
        for other in self._files[1:]:
            _check_same_columns(self._files[0], other)
        if not any(file.n_rows for file in self._files):
            raise BadInputError(f"{self.name} holds no stars; give a file with at least one row")
        for name in (*_ALWAYS_NEEDED, *({_ID} & set(self._own_names))):
            self._own_name(name)
        if _ID not in self._own_names:
            logger.warning("%s has no column source_id; row numbers serve instead", self.name)

    def columns(self) -> frozenset[str]:
        """Names by which columns can be asked: Gaia's through the column map, and the files'."""
        return frozenset({*self._own_names, _ID})

    def stars(self, ra: float, dec: float, radius_deg: float, columns: Sequence[str]) -> Table:
        """All stars within `radius_deg` of the ICRS point (`ra`, `dec`), each once.

        Parameters
        ----------
        ra, dec, radius_deg : float
            Disc in deg; its rim belongs to it.
        columns : sequence of str
            Gaia's names or the files' own.

        Returns
        -------
        astropy.table.Table
            The asked `columns`, sorted by ``source_id`` (int64); other numbers are float64 with
            NaN where there is no value, or int64 and bool where a file has these without gaps.

        Raises
        ------
        BadInputError
            If a column is missing or mistyped, the proper motions are all missing, a source_id
            is missing or there twice, or the files cannot be read.
        """
        asked = list(dict.fromkeys(columns))
        found = self._in_disc(Disc(ra, dec, radius_deg), [_ID, *asked])
        order = np.argsort(found[_ID])
        self._check_ids(found[_ID][order])
        for name in ("pmra", "pmdec"):
            if name in found and found[name].size and np.isnan(found[name]).all():
                self._check_not_all_missing(name)
        units = {name: column.unit for name, column in self._due.items()}
        return Table(
            [Column(found[name][order], name, unit=units.get(name)) for name in asked],
            copy=False,
        )

    def count(self, ra: float, dec: float, radius_deg: float) -> int:
        """Exact number of stars in the disc (deg)."""
        return int(self._in_disc(Disc(ra, dec, radius_deg), [])["ra"].size)

    def fingerprint(self) -> str:
        """Hash of the files' contents in order, the column map and the release."""
        digest = hashlib.blake2b(digest_size=16)
        meaning = [dict(sorted(self._config.columns.items())), self._config.release]
        digest.update(json.dumps(meaning).encode())
        for file in self._files:
            with file.path.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "blake2b").digest())
        return digest.hexdigest()

    def _own_name(self, name: str) -> str:
        """The files' own name of a column whose type and unit are right in every file."""
        if name not in self._own_names:
            raise missing_column(self.name, name, self._files[0].names)
        own = self._own_names[name]
        for file in self._files:
            check_type(str(file.path), own, file.dtypes[own], self._due.get(name))
            self._factor(file, name)
        return own

    def _factor(self, file: CatalogueFile, name: str) -> float:
        """What turns the file's unit of a column into Gaia's."""
        own = self._own_names[name]
        return unit_factor(str(file.path), own, file.units.get(own), self._due.get(name))

    def _in_disc(self, disc: Disc, names: Iterable[str]) -> dict[str, NDArray[Any]]:
        """The columns `names` of the stars in the disc, in the order of the files."""
        held = dict.fromkeys([*_POSITION, *names])
        if _ID not in self._own_names:
            held.pop(_ID, None)
        own = {name: self._own_name(name) for name in held}
        dtypes = self._files[0].dtypes
        empty = {name: masked_to_nan(np.empty(0, dtypes[own[name]])) for name in held}
        chunks = [{_ID: np.empty(0, np.int64), **empty}]
        first_row = 0
        for file in self._files:
            for index, part in enumerate(file.parts):
                ra_span, dec_span = (self._span(file, index, name) for name in _POSITION)
                self._check_declinations(file, dec_span or ())
                if disc.may_meet(ra_span, dec_span):
                    rows = self._read(file, index, own)
                    rows.setdefault(_ID, np.arange(first_row, first_row + part.n_rows))
                    inside = disc.holds(*(rows[name] for name in _POSITION))
                    chunks.append({name: column[inside] for name, column in rows.items()})
                first_row += part.n_rows
        return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in {_ID, *own}}

    def _span(self, file: CatalogueFile, index: int, name: str) -> tuple[float, float] | None:
        span = file.span(index, self._own_names[name])
        factor = self._factor(file, name)
        return None if span is None else (span[0] * factor, span[1] * factor)

    def _read(
        self, file: CatalogueFile, index: int, own: Mapping[str, str]
    ) -> dict[str, NDArray[Any]]:
        """A part of a file under the names and in the units of Gaia."""
        columns = file.read(index, sorted(set(own.values())))
        rows = {}
        for name, own_name in own.items():
            factor = self._factor(file, name)
            rows[name] = columns[own_name] if factor == 1.0 else columns[own_name] * factor
        self._check_declinations(file, rows["dec"])
        return rows

    def _check_declinations(self, file: CatalogueFile, dec: ArrayLike) -> None:
        if np.any(np.abs(dec) > 90.0):
            raise BadInputError(
                f"{file.path} holds values beyond 90 deg in its column "
                f"'{self._own_names['dec']}'; name the right column with "
                "query.columns: {dec: <name>}"
            )

    def _check_ids(self, ids: NDArray[Any]) -> None:
        """Refuse missing, negative or repeated values of the sorted `ids`."""
        own = self._own_names.get(_ID, _ID)
        if ids.dtype != np.int64 or np.any(ids < 0):
            n_bad = np.count_nonzero(~(ids >= 0))
            raise BadInputError(
                f"{self.name} has {n_bad} stars without a valid {_ID} in its column '{own}'; give "
                "every star a number from 0 to 2**63 - 1, or remove the column so that row "
                "numbers serve"
            )
        n_repeated = np.count_nonzero(np.diff(ids) == 0)
        if n_repeated:
            raise BadInputError(
                f"{self.name} repeats {n_repeated} of the {ids.size} values of {_ID} in its "
                f"column '{own}' within one disc; remove the repeated stars"
            )

    def _check_not_all_missing(self, name: str) -> None:
        own = self._own_name(name)
        for file in self._files:
            for index in range(len(file.parts)):
                if not np.isnan(file.read(index, [own])[own]).all():
                    return
        raise BadInputError(
            f"{self.name} has no value but NaN in its column '{own}', so no star has a proper "
            f"motion; name the right column with query.columns: {{{name}: <name>}}"
        )


def _check_same_columns(first: CatalogueFile, other: CatalogueFile) -> None:
    differing = sorted(set(first.names) ^ set(other.names))
    if differing:
        lacking = other if differing[0] in first.names else first
        raise BadInputError(
            f"{lacking.path} lacks the column '{differing[0]}', which another file of query.path "
            "has; files that are read as one catalogue need the same columns"
        )
