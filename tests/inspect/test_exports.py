"""The final tables: columns, types, units, and what readers get back."""

from __future__ import annotations

import io
from pathlib import Path

import astropy.units as u
import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.table import MaskedColumn, Table
from astropy.table.meta import get_header_from_yaml

from viamachinae.inspect.exports import (
    CANDIDATES,
    MEMBERS,
    candidates_ecsv,
    conform,
    members_parquet,
)

POSITION = ["ra", "dec", "pmra", "pmdec"]
CANDIDATE_COLUMNS = ["candidate", "rank", "sigma", "n_stars", "n_patches", *POSITION]
PHOTOMETRY = ["phot_g_mean_mag", "bp_rp"]
MEMBER_COLUMNS = ["candidate", "source_id", *POSITION, *PHOTOMETRY, "log_ratio", "on_line"]


def read(text: str) -> Table:
    return Table.read(text, format="ascii.ecsv")


def test_candidates_come_back_from_ecsv(candidates: Table) -> None:
    back = read(candidates_ecsv(candidates))
    assert back.colnames == CANDIDATE_COLUMNS
    assert list(back["candidate"]) == ["bright", "faint"]
    assert list(back["rank"]) == [1, 2]
    assert back["sigma"].tolist() == [14.25, 8.5]
    assert [back[name].dtype.kind for name in CANDIDATE_COLUMNS] == list("Uifiiffff")
    assert back["ra"].unit == back["dec"].unit == u.deg
    assert back["pmra"].unit == back["pmdec"].unit == u.mas / u.yr
    assert all(back[name].description for name in CANDIDATE_COLUMNS)


def test_floats_come_back_to_the_last_bit(candidates: Table) -> None:
    candidates["ra"] = [1 / 3, np.nextafter(200.0, 201.0)]
    back = read(candidates_ecsv(candidates))
    assert sorted(back["ra"]) == sorted(candidates["ra"])


def test_no_candidate_is_a_table_with_its_columns() -> None:
    back = read(candidates_ecsv(Table(names=CANDIDATE_COLUMNS)))
    assert len(back) == 0
    assert back.colnames == CANDIDATE_COLUMNS
    assert back["candidate"].dtype.kind == "U"
    assert back["rank"].dtype == np.int64


def test_members_come_back_from_parquet(members: Table) -> None:
    back = pq.read_table(io.BytesIO(members_parquet(members)))
    assert back.column_names == MEMBER_COLUMNS
    types = dict(zip(back.column_names, map(str, back.schema.types), strict=True))
    assert types.pop("candidate") == "string"
    assert types.pop("source_id") == "int64"
    assert types.pop("on_line") == "bool"
    assert set(types.values()) == {"double"}
    # Beyond 2**53 a float would have lost the last digits.
    assert back["source_id"].to_pylist() == members["source_id"].tolist()
    assert back["candidate"].to_pylist() == members["candidate"].tolist()
    np.testing.assert_array_equal(back["ra"].to_numpy(), members["ra"])
    units = {field.name: field.metadata[b"unit"].decode() for field in back.schema}
    assert units["ra"] == "deg"
    assert u.Unit(units["pmra"]) == u.mas / u.yr
    assert units["bp_rp"] == "mag"
    assert units["source_id"] == ""


def test_parquet_carries_the_header_of_astropy(members: Table) -> None:
    metadata = pq.read_schema(io.BytesIO(members_parquet(members))).metadata
    header = get_header_from_yaml(metadata[b"table_meta_yaml"].decode().split("\n"))
    assert [column["name"] for column in header["datatype"]] == MEMBER_COLUMNS
    assert header["datatype"][4]["unit"] == u.mas / u.yr
    assert metadata[b"table::len::candidate"] == b"6"


def test_astropy_restores_units_from_parquet(members: Table, tmp_path: Path) -> None:
    pytest.importorskip("pandas", reason="astropy reads Parquet through pandas")
    path = tmp_path / "members.parquet"
    path.write_bytes(members_parquet(members))
    back = Table.read(path)
    assert back.colnames == MEMBER_COLUMNS
    assert back["pmra"].unit == u.mas / u.yr
    assert back["source_id"].dtype == np.int64
    assert back["candidate"].tolist() == members["candidate"].tolist()


def test_no_member_is_a_table_with_its_columns() -> None:
    back = pq.read_table(io.BytesIO(members_parquet(Table(names=MEMBER_COLUMNS))))
    assert back.num_rows == 0
    assert back.column_names == MEMBER_COLUMNS
    assert str(back.schema.field("candidate").type) == "string"
    assert str(back.schema.field("source_id").type) == "int64"


def test_the_same_table_gives_the_same_bytes(candidates: Table, members: Table) -> None:
    assert candidates_ecsv(candidates) == candidates_ecsv(candidates.copy())
    assert members_parquet(members) == members_parquet(members.copy())


def test_columns_are_reordered_and_others_follow(candidates: Table) -> None:
    shuffled = candidates[CANDIDATE_COLUMNS[::-1]]
    shuffled["p_value"] = [0.1, 0.2]
    assert conform(shuffled, CANDIDATES).colnames == [*CANDIDATE_COLUMNS, "p_value"]


def test_units_are_converted(members: Table) -> None:
    members["ra"] = (members["ra"] * 3600) * u.arcsec
    members["pmra"] = (members["pmra"] / 1000) * u.arcsec / u.yr
    before = members.copy()
    result = conform(members, MEMBERS)
    np.testing.assert_allclose(result["ra"], before["ra"] / 3600)
    np.testing.assert_allclose(result["pmra"], before["pmra"] * 1000)
    assert members["ra"].unit == u.arcsec


def test_a_masked_float_becomes_nan(members: Table) -> None:
    lacking = np.arange(len(members)) % 3 == 0
    members["bp_rp"] = MaskedColumn(members["bp_rp"], mask=lacking)
    values = pq.read_table(io.BytesIO(members_parquet(members)))["bp_rp"].to_numpy()
    np.testing.assert_array_equal(np.isnan(values), lacking)


def test_a_masked_id_is_refused(members: Table) -> None:
    members["source_id"] = MaskedColumn(members["source_id"], mask=members["on_line"])
    with pytest.raises(ValueError, match="source_id has masked rows"):
        conform(members, MEMBERS)


@pytest.mark.parametrize("dtype", [np.float64, np.uint64, str])
def test_an_id_of_another_type_is_refused(members: Table, dtype: type) -> None:
    members["source_id"] = members["source_id"].astype(dtype)
    with pytest.raises(ValueError, match=r"source_id is .*, not int64"):
        members_parquet(members)


def test_a_missing_column_is_named(members: Table) -> None:
    members.remove_columns(["pmra", "on_line"])
    with pytest.raises(ValueError, match="lacks the columns pmra, on_line"):
        members_parquet(members)


def test_a_star_twice_in_a_candidate_is_refused(members: Table) -> None:
    members["source_id"][1] = members["source_id"][0]
    with pytest.raises(ValueError, match="twice"):
        members_parquet(members)


def test_a_star_in_two_candidates_is_kept(members: Table) -> None:
    members["source_id"][-1] = members["source_id"][0]
    assert pq.read_table(io.BytesIO(members_parquet(members))).num_rows == len(members)


@pytest.mark.parametrize("ranks", [[1, 1], [0, 1], [1, 3]])
def test_ranks_that_do_not_rank_are_refused(candidates: Table, ranks: list[int]) -> None:
    candidates["rank"] = ranks
    with pytest.raises(ValueError, match="ranks"):
        candidates_ecsv(candidates)


def test_two_candidates_of_one_name_are_refused(candidates: Table) -> None:
    candidates["candidate"] = ["same", "same"]
    with pytest.raises(ValueError, match="share a name"):
        candidates_ecsv(candidates)
