"""Tables, JSON and text on disk, written atomically, and their hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import Column, Table

from viamachinae.disk import atomic


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content`, atomically."""
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON, atomically."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_table(path: Path, table: Table | pa.Table) -> None:
    """Write a table as Parquet, atomically; units go to the fields' metadata."""
    arrow = table if isinstance(table, pa.Table) else _to_arrow(table)
    with atomic(path) as temporary:
        pq.write_table(arrow, temporary, compression="zstd")


def _to_arrow(table: Table) -> pa.Table:
    fields, arrays = [], []
    for name in table.colnames:
        column = table[name]
        values = np.asarray(column)
        array = pa.array(values.tolist() if values.dtype.kind in "OU" else values)
        unit = {"unit": column.unit.to_string()} if column.unit is not None else None
        fields.append(pa.field(name, array.type, metadata=unit))
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def read_arrow(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a Parquet file of ours."""
    return pq.ParquetFile(path).read(columns=columns)


def read_table(path: Path, columns: Sequence[str] | None = None) -> Table:
    """Read a Parquet file of ours without list columns, with its units."""
    arrow = read_arrow(path, columns)
    table = Table()
    for field, column in zip(arrow.schema, arrow.columns, strict=True):
        if pa.types.is_string(field.type):
            values = np.array(column.to_pylist(), dtype=str)
        else:
            values = column.to_numpy()
        unit = (field.metadata or {}).get(b"unit", b"").decode()
        table[field.name] = Column(values, unit=unit or None)
    return table


def column_names(path: Path) -> list[str]:
    """Columns of a Parquet file."""
    return list(pq.ParquetFile(path).schema_arrow.names)


def count_rows(path: Path) -> int:
    """Number of rows of a Parquet file, without reading them."""
    return int(pq.ParquetFile(path).metadata.num_rows)


def file_hash(path: Path) -> str:
    """BLAKE2b of a file's bytes, 32 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def content_hash(content: Any) -> str:
    """BLAKE2b of anything JSON can say, independent of the order of keys."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
