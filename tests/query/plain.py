"""Small files of stars, and the source that reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from viamachinae.config import FilesQuery
from viamachinae.query.files import FilesSource

CENTRE = (150.0, 20.0)
COLUMNS = ["source_id", "ra", "dec", "pmra", "pmdec"]


def source(path: Path | list[Path], **options: Any) -> FilesSource:
    return FilesSource(FilesQuery(source="files", path=path, **options))


def write(path: Path, **columns: Any) -> Path:
    """A Parquet file; columns that are not given hold three plain stars at `CENTRE`."""
    plain: dict[str, Any] = {
        "source_id": np.arange(1, 4),
        "ra": np.array([149.9, 150.0, 150.1]),
        "dec": np.full(3, 20.0),
        "pmra": np.array([1.0, 2.0, 3.0]),
        "pmdec": np.array([-1.0, -2.0, -3.0]),
    }
    chosen = {name: values for name, values in (plain | columns).items() if values is not None}
    pq.write_table(pa.table(chosen), path)
    return path
