"""The formats in which files of stars come, by suffix."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
from astropy.io import fits, votable
from astropy.table import Table
from numpy.typing import NDArray

from viamachinae.errors import BadInputError
from viamachinae.query.catalogue import CatalogueFile, Part, reading
from viamachinae.query.columns import masked_to_nan, refuse_repeated
from viamachinae.query.parquet import arrow_values, open_parquet

_PART_ROWS = 1 << 20
_MOST_CSV_BYTES = 2**31 - 1  # the largest block that pyarrow parses

# Public patch files along GD-1 (Zenodo 7897936); some lack the last column.
_NPY_COLUMNS = [
    *("pmdec", "pmra", "dec", "ra", "bp_rp", "phot_g_mean_mag", "phi", "lam", "pm_phi", "pm_lam"),
    "stream",
]


def open_file(path: Path) -> CatalogueFile:
    """Open a file of stars by its suffix; ``.gz`` may follow that of FITS and text formats.

    Parquet opens by its footer, FITS and .npy are mapped into memory; ECSV, VOTable and CSV are
    parsed whole, so Parquet is the format for large catalogues.

    Raises
    ------
    BadInputError
        If the file is missing, empty, damaged or of another format.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    opener = _OPENERS.get(suffixes[-1]) if suffixes else None
    if opener is None:
        raise BadInputError(
            f"{path} has no suffix of a known format; query.path takes {', '.join(_OPENERS)}"
        )
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise BadInputError(f"{path} {what}; correct query.path, which takes files")
    if path.stat().st_size == 0:
        raise BadInputError(f"{path} is empty (0 bytes); copy or download it again")
    with reading(path):
        return opener(path)


def _open_fits(path: Path) -> CatalogueFile:
    """The first table of a FITS file, mapped into memory."""
    with fits.open(path, memmap=True) as hdus:
        tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)]
        if not tables:
            raise ValueError("it holds no table extension")
        names = list(tables[0].columns.names)
        refuse_repeated(str(path), names)  # astropy cannot read such a table at all
        return _astropy_file(path, names, Table.read(tables[0], format="fits", mask_invalid=False))


def _open_ecsv(path: Path) -> CatalogueFile:
    text = _text(path)
    delimiter = "," if b"\n# delimiter: ','" in text else " "
    table = Table.read(text.decode(), format="ascii.ecsv")
    # The parser renames repeated columns, so the names are taken from the header line.
    return _astropy_file(path, _header(text, delimiter)[1], table)


def _open_votable(path: Path) -> CatalogueFile:
    """The first table of a VOTable."""
    first = votable.parse(path, verify="ignore").get_first_table()
    table = first.to_table(use_names_over_ids=True)
    return _astropy_file(path, [field.name for field in first.fields], table)


def _open_csv(path: Path) -> CatalogueFile:
    """A CSV table with a header line, after any lines that start with ``#``."""
    text = _text(path)
    if len(text) > _MOST_CSV_BYTES:
        raise BadInputError(f"{path} holds more than 2 GiB of text; convert it to Parquet")
    n_comments, names = _header(text, ",")
    options = pa.csv.ReadOptions(
        column_names=[str(index) for index in range(len(names))],
        skip_rows=n_comments + 1,
        # One block: types are then decided by all rows, not by the first ones.
        block_size=len(text),
    )
    table = pa.csv.read_csv(pa.BufferReader(text), read_options=options)
    arrays = [arrow_values(column) for column in table.columns]
    return _table_file(path, names, dict(zip(names, arrays, strict=True)), {})


def _open_npy(path: Path) -> CatalogueFile:
    """A bare array of shape (n, 10) or (n, 11) in the layout of the public patch files."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    least = len(_NPY_COLUMNS) - 1
    if array.ndim != 2 or array.shape[1] not in (least, least + 1):
        raise BadInputError(
            f"{path} holds an array of shape {array.shape}, not (n, {least}) or (n, {least + 1}) "
            f"with columns {', '.join(_NPY_COLUMNS)}; save it in that layout or as Parquet"
        )
    names = _NPY_COLUMNS[: array.shape[1]]
    return _table_file(path, names, dict(zip(names, array.T, strict=True)), {})


_OPENERS = {
    ".parquet": open_parquet,
    ".fits": _open_fits,
    ".fit": _open_fits,
    ".ecsv": _open_ecsv,
    ".vot": _open_votable,
    ".votable": _open_votable,
    ".xml": _open_votable,
    ".csv": _open_csv,
    ".npy": _open_npy,
}


def _text(path: Path) -> bytes:
    with pa.input_stream(str(path), compression="detect") as stream:
        return bytes(stream.read())


def _header(text: bytes, delimiter: str) -> tuple[int, list[str]]:
    """Number of comment lines, and the column names in the line after them."""
    lines = BytesIO(text)
    n_comments, line = 0, lines.readline()
    while line.startswith(b"#"):
        n_comments, line = n_comments + 1, lines.readline()
    return n_comments, next(csv.reader([line.decode().strip()], delimiter=delimiter), [])


def _astropy_file(path: Path, names: list[str], table: Table) -> CatalogueFile:
    arrays = {name: table[name] for name in table.colnames}
    return _table_file(path, names, arrays, {name: table[name].unit for name in arrays})


def _table_file(
    path: Path, names: list[str], arrays: Mapping[str, Any], units: Mapping[str, Any]
) -> CatalogueFile:
    """A file whose columns are at hand, in memory or mapped into it."""
    n_rows = len(next(iter(arrays.values()))) if arrays else 0
    first_rows = range(0, n_rows, _PART_ROWS)
    return CatalogueFile(
        path=path,
        names=names,
        dtypes={
            name: array.dtype if array.ndim == 1 else np.dtype(object)
            for name, array in arrays.items()
        },
        units=units,
        parts=[Part(first, min(_PART_ROWS, n_rows - first)) for first in first_rows],
        read=partial(_read_slice, arrays),
        span=_unknown_span,
    )


def _read_slice(
    arrays: Mapping[str, Any], index: int, names: Sequence[str]
) -> dict[str, NDArray[Any]]:
    rows = slice(index * _PART_ROWS, (index + 1) * _PART_ROWS)
    return {name: masked_to_nan(arrays[name][rows]) for name in names}


def _unknown_span(_index: int, _name: str) -> None:
    return None
