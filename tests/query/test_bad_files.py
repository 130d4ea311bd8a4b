"""Files that cannot be used are refused in one sentence that names file and column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table, vstack

from tests.query.plain import CENTRE, source, write
from viamachinae.errors import BadInputError


@pytest.mark.parametrize("column", ["ra", "dec", "pmra", "pmdec"])
def test_a_scan_needs_positions_and_proper_motions(tmp_path: Path, column: str) -> None:
    path = write(tmp_path / "s.parquet", **{column: None})
    with pytest.raises(BadInputError, match=rf"s\.parquet has no column '{column}'.*query\.colum"):
        source(path)


def test_a_column_asked_for_must_be_there(tmp_path: Path) -> None:
    files = source(write(tmp_path / "s.parquet"))
    with pytest.raises(BadInputError, match=r"s\.parquet has no column 'bp_rp'.*\{bp_rp: <name>"):
        files.stars(*CENTRE, 1.0, ["bp_rp"])


def test_text_for_a_number_is_refused_at_opening(tmp_path: Path) -> None:
    path = write(tmp_path / "s.parquet", pmra=np.array(["1", "2", "3"]))
    with pytest.raises(BadInputError, match=r"s\.parquet holds text in its column 'pmra'"):
        source(path)


def test_one_word_makes_a_csv_column_text(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("ra,dec,pmra,pmdec\n150,20,1.0,2.0\n150,20,fast,2.0\n")
    with pytest.raises(BadInputError, match=r"s\.csv holds text in its column 'pmra'"):
        source(path)


@pytest.mark.parametrize("suffix", ["csv", "ecsv", "fits", "vot"])
def test_repeated_columns_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"s.{suffix}"
    WITH_TWO_PMRA[suffix](path)
    with pytest.raises(BadInputError, match=rf"s\.{suffix} has 2 columns for the name 'pmra'"):
        source(path)


def repeated_csv(path: Path) -> None:
    path.write_text("ra,dec,pmra,pmdec,pmra\n150,20,1,2,3\n")


def repeated_ecsv(path: Path) -> None:
    names = ["ra", "dec", "pmra", "pmdec", "pmra"]
    head = "".join(f"# - {{name: {name}, datatype: float64}}\n" for name in names)
    path.write_text(f"# %ECSV 1.0\n# ---\n# datatype:\n{head}{' '.join(names)}\n150 20 1 2 3\n")


def repeated_fits(path: Path) -> None:
    Table({name: [1.0] for name in ("ra", "dec", "pmra", "pmdec", "pmrb")}).write(path)
    path.write_bytes(path.read_bytes().replace(b"'pmrb", b"'pmra"))


def repeated_votable(path: Path) -> None:
    names = ("ra", "dec", "pmra", "pmdec", "pmrb")
    table = Table({name: [1.0] for name in names})
    table.write(path, format="votable", tabledata_format="binary2")
    path.write_text(path.read_text().replace("pmrb", "pmra"))


WITH_TWO_PMRA = {
    "csv": repeated_csv,
    "ecsv": repeated_ecsv,
    "fits": repeated_fits,
    "vot": repeated_votable,
}


def test_repeated_parquet_columns_are_refused(tmp_path: Path) -> None:
    columns = [pa.array([1.0])] * 5
    table = pa.Table.from_arrays(columns, names=["ra", "dec", "pmra", "pmdec", "pmra"])
    pq.write_table(table, tmp_path / "s.parquet")
    with pytest.raises(BadInputError, match=r"s\.parquet has 2 columns for the name 'pmra'"):
        source(tmp_path / "s.parquet")


def test_float_ids_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "s.parquet", source_id=np.array([1.0, 2.0, 3.0]))
    with pytest.raises(BadInputError, match=r"s\.parquet holds float64 .*'source_id'.*int64"):
        source(path)


def test_repeated_ids_are_counted(tmp_path: Path) -> None:
    files = source(write(tmp_path / "s.parquet", source_id=np.array([5, 5, 5])))
    with pytest.raises(BadInputError, match=r"s\.parquet repeats 2 of the 3 values of source_id"):
        files.stars(*CENTRE, 1.0, ["ra"])


def test_ids_repeated_across_files_are_refused(stars: Table, tmp_path: Path) -> None:
    paths = [tmp_path / "a.fits", tmp_path / "b.fits"]
    stars[:100].write(paths[0])
    vstack([stars[90:]]).write(paths[1])
    with pytest.raises(BadInputError, match=r"a\.fits and 1 more repeats 10 of the 310"):
        source(paths).stars(*CENTRE, 5.0, ["ra"])


@pytest.mark.parametrize(
    "ids", [pa.array([1, None, 3]), np.array([1, -2, 3]), np.array([1, 2**63 + 5, 3], np.uint64)]
)
def test_missing_and_negative_ids_are_refused(tmp_path: Path, ids: Any) -> None:
    files = source(write(tmp_path / "s.parquet", source_id=ids))
    with pytest.raises(BadInputError, match=r"s\.parquet has 1 stars without a valid source_id"):
        files.stars(*CENTRE, 1.0, ["ra"])


@pytest.mark.parametrize("missing", [np.full(3, np.nan), pa.nulls(3)])
def test_proper_motions_that_are_all_missing_are_refused(tmp_path: Path, missing: Any) -> None:
    files = source(write(tmp_path / "s.parquet", pmdec=missing))
    match = r"s\.parquet has no value but NaN in its column 'pmdec'.*query\.columns: \{pmdec:"
    with pytest.raises(BadInputError, match=match):
        files.stars(*CENTRE, 1.0, ["pmra", "pmdec"])


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("source_id,ra,dec,pmra,pmdec\n")
    with pytest.raises(BadInputError, match=r"s\.csv holds no stars"):
        source(tmp_path / "s.csv")


def test_files_of_a_list_need_the_same_columns(tmp_path: Path) -> None:
    first = write(tmp_path / "a.parquet", ruwe=np.ones(3))
    second = write(tmp_path / "b.parquet")
    with pytest.raises(BadInputError, match=r"b\.parquet lacks the column 'ruwe'"):
        source([first, second])


def test_a_file_named_twice_and_an_empty_list_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet")
    for paths in ([path, path], []):
        with pytest.raises(BadInputError, match=r"query\.path must name at least one file"):
            source(paths)


def test_swapped_positions_are_noticed(tmp_path: Path) -> None:
    files = source(write(tmp_path / "s.parquet"), columns={"ra": "dec", "dec": "ra"})
    with pytest.raises(BadInputError, match=r"s\.parquet holds values beyond 90 deg .* 'ra'"):
        files.stars(*CENTRE, 1.0, ["ra"])


def test_a_wrong_unit_is_refused_at_opening(stars: Table, tmp_path: Path) -> None:
    stars["pmra"].unit = u.km / u.s
    stars.write(tmp_path / "s.fits")
    with pytest.raises(BadInputError, match=r"s\.fits gives its column 'pmra' in km / s"):
        source(tmp_path / "s.fits")
