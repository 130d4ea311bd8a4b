"""Parquet files of stars, read row group by row group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from viamachinae.query.catalogue import CatalogueFile, Part, reading
from viamachinae.query.columns import masked_to_nan


def open_parquet(path: Path) -> CatalogueFile:
    """Open a Parquet file by its footer."""
    with pa.parquet.ParquetFile(path) as file:
        schema, metadata = file.schema_arrow, file.metadata
    rows = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
    positions = {column.path: index for index, column in enumerate(metadata.schema)}
    first = [0, *np.cumsum(rows).tolist()]
    return CatalogueFile(
        path=path,
        names=schema.names,
        dtypes={field.name: arrow_dtype(field.type) for field in schema},
        units={},
        parts=[Part(*part) for part in zip(first, rows, strict=False)],
        read=partial(_read_row_group, path),
        span=partial(row_group_span, metadata, positions),
    )


def arrow_dtype(kind: pa.DataType) -> np.dtype[Any]:
    """The numpy type; a column of nothing but nulls is one of numbers that are all missing."""
    return np.dtype(np.float64 if pa.types.is_null(kind) else kind.to_pandas_dtype())


def arrow_values(column: pa.ChunkedArray) -> NDArray[Any]:
    """An arrow column of shape (n,) as numpy has it; nulls of numbers are masked."""
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    if column.null_count == 0 or arrow_dtype(column.type).kind not in "fiub":
        return np.asarray(column.to_numpy())
    # Filled before numpy sees it: integers with gaps would pass through float64.
    filled = column.fill_null(pa.scalar(0, pa.int8()).cast(column.type)).to_numpy()
    return np.ma.MaskedArray(filled, column.is_null().to_numpy())


def _read_row_group(path: Path, index: int, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    with reading(path), pa.parquet.ParquetFile(path) as file:
        table = file.read_row_group(index, columns=list(names), use_pandas_metadata=False)
    return {name: masked_to_nan(arrow_values(table[name])) for name in names}


def row_group_span(
    metadata: pa.parquet.FileMetaData, positions: Mapping[str, int], index: int, name: str
) -> tuple[float, float] | None:
    """Least and largest value of a column in a row group; None where the footer tells not."""
    statistics = metadata.row_group(index).column(positions[name]).statistics
    if statistics is None or not statistics.has_min_max:
        return None
    return float(statistics.min), float(statistics.max)
