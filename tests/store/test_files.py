from __future__ import annotations

from pathlib import Path

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from viamachinae.store.files import (
    content_hash,
    file_hash,
    read_json,
    read_table,
    write_json,
    write_table,
)


def table() -> Table:
    return Table(
        {
            "source_id": np.array([2**60 + 1, 7], dtype=np.int64),
            "ra": np.array([1.5, np.nan]) * u.deg,
            "scan": ["pm_phi", "pm_lam"],
            "fiducial": [True, False],
        }
    )


def test_table_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "stars.parquet"
    write_table(path, table())
    back = read_table(path)
    assert back.colnames == ["source_id", "ra", "scan", "fiducial"]
    assert back["source_id"].dtype == np.int64
    assert back["source_id"].tolist() == [2**60 + 1, 7]
    assert back["ra"].unit == u.deg
    np.testing.assert_array_equal(back["ra"].value, [1.5, np.nan])
    assert back["scan"].tolist() == ["pm_phi", "pm_lam"]
    assert back["fiducial"].tolist() == [True, False]
    assert read_table(path, ["ra"]).colnames == ["ra"]
    # Any reader sees plain Parquet.
    assert pq.read_table(path)["source_id"].to_pylist() == [2**60 + 1, 7]


def test_list_columns_stay_arrow(tmp_path: Path) -> None:
    arrow = pa.table({"star": pa.array([[1, 2], []], pa.list_(pa.int64()))})
    write_table(tmp_path / "p.parquet", arrow)
    assert pq.read_table(tmp_path / "p.parquet").equals(arrow)


def test_same_table_same_bytes(tmp_path: Path) -> None:
    write_table(tmp_path / "a.parquet", table())
    write_table(tmp_path / "b.parquet", table())
    assert file_hash(tmp_path / "a.parquet") == file_hash(tmp_path / "b.parquet")


def test_json_refuses_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": [1, None]})
    assert read_json(tmp_path / "a.json") == {"x": [1, None]}
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert read_json(tmp_path / "a.json") == {"x": [1, None]}


def test_content_hash_ignores_the_order_of_keys() -> None:
    assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})
    assert content_hash({"a": 1}) != content_hash({"a": 2})
