"""The stars of a pixel as a lake keeps them: columns, types, missing values, bytes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet
from numpy.typing import NDArray

from viamachinae.catalog.release import RELEASES
from viamachinae.errors import BadInputError
from viamachinae.query.pixels import ID_LEVEL, STRAY_DEG, pixels_of, separation_deg, source_id_range

# Small enough that a disc prunes, large enough to compress.
ROWS_PER_GROUP = 1 << 16
# No star can be found without these.
NEEDED = ("source_id", "ra", "dec")
_LAST_ID = source_id_range(0, 11)[1]


def gaia_schema(release: str, columns: Sequence[str] | None = None) -> pa.Schema:
    """Columns of a release as the archive types them, units in the metadata of the fields.

    Parameters
    ----------
    release : str
        A key of `viamachinae.catalog.release.RELEASES`.
    columns : sequence of str, optional
        All that the release names by default; source_id, ra and dec always come along.

    Raises
    ------
    BadInputError
        If the release names no such column.
    """
    due = RELEASES[release].columns
    names = list(due) if columns is None else list(dict.fromkeys((*NEEDED, *columns)))
    unknown = [name for name in names if name not in due]
    if unknown:
        raise BadInputError(
            f"the schema of {release} has no column {', '.join(unknown)}; it has {', '.join(due)}"
        )
    return pa.schema(
        [field_of(name, pa.from_numpy_dtype(due[name].dtype), due[name].unit) for name in names]
    )


def field_of(name: str, kind: pa.DataType, unit: object) -> pa.Field:
    """A column with its unit, if it has one, in the metadata of the field."""
    text = "" if unit is None else str(unit)
    return pa.field(name, kind, metadata={"unit": text} if text else None)


def unit_of(field: pa.Field) -> str:
    """The unit of a column; empty where it has none."""
    return str((field.metadata or {}).get(b"unit", b"").decode())


def as_kept(stars: pa.Table, schema: pa.Schema, name: str) -> pa.Table:
    """Stars with the columns and types of `schema`, NaN as null, sorted by source_id.

    Parameters
    ----------
    name : str
        Where the stars come from, for messages.

    Raises
    ------
    BadInputError
        If a column is missing or of another type.
    """
    arrays = []
    for field in schema:
        if field.name not in stars.column_names:
            raise BadInputError(f"{name} has no column '{field.name}', which its lake keeps")
        column = stars[field.name]
        if pa.types.is_floating(column.type):
            missing = pa.compute.is_nan(column)
            column = pa.compute.if_else(missing, pa.scalar(None, column.type), column)
        try:
            column = column.cast(field.type)
        except pa.ArrowInvalid as error:
            raise BadInputError(
                f"{name} holds values in its column '{field.name}' that are no {field.type} "
                f"({error}); correct them, or leave the column out"
            ) from error
        arrays.append(column)
    kept = pa.Table.from_arrays(arrays, schema=schema)
    if np.any(np.diff(kept["source_id"].to_numpy()) < 0):
        kept = kept.take(pa.compute.sort_indices(kept["source_id"]))
    return kept.combine_chunks()


def check_rows(stars: pa.Table, name: str) -> None:
    """Refuse stars that are nowhere, or not where their source_id says; it is then not Gaia's.

    Raises
    ------
    BadInputError
        Naming such a star.
    """
    for column in NEEDED:
        if stars[column].null_count:
            raise BadInputError(
                f"{name} has {stars[column].null_count} stars without a value in the column for "
                f"{column}; remove these rows, for no disc could hold them"
            )
    ids, ra, dec = (stars[column].to_numpy() for column in NEEDED)
    beyond = np.flatnonzero((ids < 0) | (ids > _LAST_ID) | ~(np.abs(dec) <= 90.0))
    if beyond.size:
        row = beyond[0]
        raise BadInputError(
            f"{name} holds a star with source_id {ids[row]} and dec {dec[row]:g} deg, which no "
            "star of Gaia's can have; name the right columns with --columns"
        )
    angle = separation_deg(pixels_of(ids, ID_LEVEL), ID_LEVEL, ra, dec)
    astray = np.flatnonzero(~(angle <= STRAY_DEG))
    if astray.size:
        row = astray[0]
        raise BadInputError(
            f"{name} holds the star with source_id {ids[row]} at ra {ra[row]:.5f}, dec "
            f"{dec[row]:.5f} deg, {angle[row]:.2f} deg from where that number lies; a lake needs "
            "Gaia's own source_id, so read such a table with query.source: files"
        )


def check_pixel(stars: pa.Table, order: int, pixel: int, name: str) -> None:
    """Refuse sorted stars that do not belong into a pixel, or are there twice.

    Raises
    ------
    BadInputError
        If a source_id is repeated, missing or out of the pixel's range, or a position is
        missing or farther from its pixel than any star moves.
    """
    check_rows(stars, name)
    ids = stars["source_id"].to_numpy()
    first, last = source_id_range(order, pixel)
    outside = ids[(ids < first) | (ids > last)]
    if outside.size:
        raise BadInputError(
            f"{name} was given the star with source_id {outside[0]}, which lies in another pixel; "
            "give each pixel its own stars"
        )
    check_unique(ids, name)


def check_unique(ids: NDArray[np.int64], name: str) -> None:
    """Refuse sorted ids of which one is there twice.

    Raises
    ------
    BadInputError
        Naming one.
    """
    repeated = ids[1:][np.diff(ids) == 0]
    if repeated.size:
        raise BadInputError(
            f"{name} holds the star with source_id {repeated[0]} more than once ({repeated.size} "
            "rows too many in its pixel); remove the repeated rows"
        )


def to_parquet(stars: pa.Table) -> pa.Buffer:
    """A Parquet file, the same bytes for the same stars and version of pyarrow."""
    sink = pa.BufferOutputStream()
    floats = [field.name for field in stars.schema if pa.types.is_floating(field.type)]
    encoding = {"source_id": "DELTA_BINARY_PACKED"} | dict.fromkeys(floats, "BYTE_STREAM_SPLIT")
    pa.parquet.write_table(
        stars,
        sink,
        row_group_size=ROWS_PER_GROUP,
        compression="zstd",
        use_dictionary=False,
        column_encoding=encoding,
        write_page_checksum=True,
    )
    return sink.getvalue()
