"""Tables of stars that go into a lake, batch by batch: the archive's bulk files, or any other."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
from astropy.table.meta import get_header_from_yaml

from viamachinae.catalog.release import RELEASES
from viamachinae.errors import BadInputError
from viamachinae.query.catalogue import CatalogueFile, reading
from viamachinae.query.columns import check_type, missing_column, refuse_repeated, unit_factor
from viamachinae.query.formats import open_file
from viamachinae.query.lake.tables import NEEDED, field_of

Batches = Callable[[Mapping[str, str], pa.Schema], Iterator[pa.Table]]

_BLOCK_BYTES = 1 << 24
_BAD_CELL = re.compile(r"column #(\d+):(?: Row #(\d+):)? CSV conversion error to (\w+): (.*)")
_MISSING = ["", "null", "NULL", "nan", "NaN"]


@dataclass(frozen=True)
class InputTable:
    """An opened table.

    Attributes
    ----------
    path : Path
    dtypes : mapping
        Type by column name; None where the file does not tell.
    units : mapping
        Unit by column name, None or absent where the file states none.
    batches : callable
        From the file's column by the lake's, and the lake's schema, to all rows, under the names
        of the lake.
    """

    path: Path
    dtypes: Mapping[str, np.dtype[Any] | None]
    units: Mapping[str, Any]
    batches: Batches


def open_table(path: Path) -> InputTable:
    """Open a table; CSV is read as a stream, compressed or not, other formats as the files are.

    Raises
    ------
    BadInputError
        If it is missing, empty, damaged or of an unknown format.
    """
    is_csv = path.name.lower().removesuffix(".gz").endswith(".csv")
    if not is_csv or not path.is_file() or path.stat().st_size == 0:
        file = open_file(path)
        return InputTable(path, file.dtypes, file.units, partial(_file_batches, file))
    with reading(path):
        return _open_csv(path)


def in_command(name: str) -> str:
    """The option of the verb that names the file's column for Gaia's `name`."""
    return f"--columns {name}=<name>"


def lake_schema(
    table: InputTable, columns: Mapping[str, str] | None, release: str
) -> tuple[pa.Schema, dict[str, str]]:
    """The columns of a lake that starts with this table, and the table's name for each.

    Parameters
    ----------
    columns : mapping, optional
        The lake's column to the table's; by default all that the release's schema and the table
        both have.

    Raises
    ------
    BadInputError
        If the table lacks a column.
    """
    due = RELEASES[release].columns
    if columns is None:
        own = {name: name for name in due if name in table.dtypes}
        own = {name: name for name in NEEDED} | own
    else:
        own = {name: name for name in NEEDED} | dict(columns)
    check_columns(table, own, release)
    fields = []
    for name, column in own.items():
        if name in due:
            fields.append(field_of(name, pa.from_numpy_dtype(due[name].dtype), due[name].unit))
        else:
            dtype = table.dtypes[column] or np.dtype(np.float64)
            fields.append(field_of(name, pa.from_numpy_dtype(dtype), table.units.get(column)))
    return pa.schema(fields), own


def check_columns(table: InputTable, own: Mapping[str, str], release: str) -> dict[str, float]:
    """What each column is multiplied by to be in Gaia's unit.

    Raises
    ------
    BadInputError
        If a column is missing, mistyped, or measures something else.
    """
    path, due = str(table.path), RELEASES[release].columns
    factors = {}
    for name, column in own.items():
        if column not in table.dtypes:
            raise missing_column(path, column, table.dtypes, in_command)
        dtype = table.dtypes[column]
        if dtype is not None:
            check_type(path, column, dtype, due.get(name), in_command)
        unit = table.units.get(column)
        factors[name] = unit_factor(path, column, unit, due.get(name), in_command)
    return factors


def _file_batches(
    file: CatalogueFile, own: Mapping[str, str], _schema: pa.Schema
) -> Iterator[pa.Table]:
    for index in range(len(file.parts)):
        columns = file.read(index, sorted(set(own.values())))
        yield pa.table({name: columns[column] for name, column in own.items()})


def _open_csv(path: Path) -> InputTable:
    """A CSV table with a header line, after any lines that start with ``#``; ECSV if they are."""
    comments, line = [], ""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as stream:
        for line in stream:
            if not line.startswith("#"):
                break
            comments.append(line[1:].strip("\n").removeprefix(" "))
    names = next(csv.reader([line.strip()]), [])
    refuse_repeated(str(path), names)
    stated = _ecsv_columns(comments)
    dtypes = {name: _dtype(stated.get(name, {}).get("datatype")) for name in names}
    texts = {name: stated.get(name, {}).get("unit") for name in names}
    units = {
        name: u.Unit(text, parse_strict="silent") if text else None for name, text in texts.items()
    }
    return InputTable(path, dtypes, units, partial(_csv_batches, path, len(comments), names))


def _ecsv_columns(comments: list[str]) -> dict[str, dict[str, str]]:
    if not comments or not comments[0].startswith("%ECSV"):
        return {}
    header = get_header_from_yaml(comments[1:])
    return {column["name"]: column for column in header.get("datatype", [])}


def _dtype(name: str | None) -> np.dtype[Any] | None:
    if name is None:
        return None
    return np.dtype(object if name == "string" else name)


def _csv_batches(
    path: Path, n_comments: int, names: list[str], own: Mapping[str, str], schema: pa.Schema
) -> Iterator[pa.Table]:
    convert = pa.csv.ConvertOptions(
        include_columns=list(own.values()),
        column_types={column: schema.field(name).type for name, column in own.items()},
        null_values=_MISSING,
        strings_can_be_null=True,
    )
    # Unthreaded, so that errors tell the row: whole files go to processes side by side.
    options = pa.csv.ReadOptions(skip_rows=n_comments, block_size=_BLOCK_BYTES, use_threads=False)
    with reading(path):
        try:
            with pa.input_stream(path, compression="detect") as stream:
                reader = pa.csv.open_csv(stream, read_options=options, convert_options=convert)
                for batch in reader:
                    yield pa.table(batch.columns, names=list(own))
        except pa.ArrowInvalid as error:
            raise _bad_cell(path, names, str(error)) or error from error


def _bad_cell(path: Path, names: list[str], message: str) -> BadInputError | None:
    """A sentence for a cell that is not of its column's type; None for other errors."""
    found = re.search(
        r"column #(\d+):(?: Row #(\d+):)? CSV conversion error to (\w+): (.*)", message
    )
    if found is None:
        return None
    column, row, kind, what = found.groups()
    where = f" (line {row})" if row else ""
    return BadInputError(
        f"{path} holds in its column '{names[int(column)]}'{where} what is no {kind} ({what}); "
        "correct it, or download the file again"
    )
