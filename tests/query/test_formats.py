"""The same stars come out of every format; damaged files are refused in one sentence."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table

from viamachinae.errors import BadInputError
from viamachinae.query.catalogue import CatalogueFile
from viamachinae.query.formats import open_file

Writer = Callable[[Table, Path], None]


def write_parquet(stars: Table, path: Path) -> None:
    columns = {
        name: pa.array(np.ma.getdata(stars[name]), mask=np.ma.getmaskarray(stars[name].data))
        for name in stars.colnames
    }
    pq.write_table(pa.table(columns), path, row_group_size=70)


def write_gaia_csv(stars: Table, path: Path) -> None:
    """As the archive's bulk files are: compressed, with ECSV comments, and nulls in words."""
    header = "# %ECSV 1.0\n# ---\n# delimiter: ','\n"
    rows = [",".join(stars.colnames)]
    rows += [",".join("null" if v is np.ma.masked else str(v) for v in row) for row in stars]
    path.write_bytes(gzip.compress((header + "\n".join(rows) + "\n").encode()))


def write_text_votable(stars: Table, path: Path) -> None:
    """VOTable of text cells, by hand: astropy's own writer of these crashes on long tables."""
    kinds = {"i8": "long", "f8": "double", "f4": "float", "b1": "boolean"}
    fields = [
        f'<FIELD name="{name}" datatype="{kinds[stars[name].dtype.str[1:]]}"/>'
        for name in stars.colnames
    ]
    rows = [
        "<TR>" + "".join(f"<TD>{'' if v is np.ma.masked else v}</TD>" for v in row) + "</TR>"
        for row in stars
    ]
    path.write_text(
        '<?xml version="1.0"?><VOTABLE version="1.4" '
        'xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE>'
        + "".join(fields)
        + "<DATA><TABLEDATA>"
        + "\n".join(rows)
        + "</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
    )


WRITERS: dict[str, Writer] = {
    "parquet": write_parquet,
    "fits": lambda stars, path: stars.write(path, format="fits"),
    "fits.gz": lambda stars, path: stars.write(path, format="fits"),
    "ecsv": lambda stars, path: stars.write(path, format="ascii.ecsv"),
    "comma.ecsv": lambda stars, path: stars.write(path, format="ascii.ecsv", delimiter=","),
    "vot": write_text_votable,
    "xml": lambda stars, path: stars.write(path, format="votable", tabledata_format="binary2"),
    "csv": lambda stars, path: stars.write(path, format="ascii.csv"),
    "csv.gz": write_gaia_csv,
}


@pytest.fixture(params=WRITERS)
def opened(request: pytest.FixtureRequest, stars: Table, tmp_path: Path) -> CatalogueFile:
    path = tmp_path / f"stars.{request.param}"
    WRITERS[request.param](stars, path)
    return open_file(path)


def whole(file: CatalogueFile, *names: str) -> dict[str, np.ndarray]:
    parts = [file.read(index, names) for index in range(len(file.parts))]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def test_names_and_rows(opened: CatalogueFile, stars: Table) -> None:
    assert opened.names == stars.colnames
    assert opened.n_rows == len(stars)


def test_ids_are_kept_to_the_last_digit(opened: CatalogueFile, stars: Table) -> None:
    ids = whole(opened, "source_id")["source_id"]
    assert ids.dtype == np.int64
    np.testing.assert_array_equal(ids, np.asarray(stars["source_id"]))


@pytest.mark.parametrize("name", ["ra", "pmra", "phot_g_mean_mag", "n_obs"])
def test_numbers_are_float64_with_nan_for_gaps(
    opened: CatalogueFile, stars: Table, name: str
) -> None:
    values = whole(opened, name)[name]
    expected = np.ma.filled(np.ma.asarray(stars[name]).astype(np.float64), np.nan)
    assert values.dtype == np.float64
    # Text gives float32 magnitudes by their shortest decimals; all else is exact.
    rtol = 1e-7 if name == "phot_g_mean_mag" else 0
    np.testing.assert_allclose(values, expected, rtol=rtol)
    assert np.isnan(values).any() == (name in {"pmra", "n_obs"})


def test_booleans_stay_booleans(opened: CatalogueFile, stars: Table) -> None:
    values = whole(opened, "is_member")["is_member"]
    assert values.dtype == np.bool_
    np.testing.assert_array_equal(values, np.asarray(stars["is_member"]))


def test_parquet_knows_the_span_of_each_part(stars: Table, tmp_path: Path) -> None:
    write_parquet(stars, tmp_path / "stars.parquet")
    file = open_file(tmp_path / "stars.parquet")
    assert [part.first_row for part in file.parts] == [0, 70, 140, 210, 280]
    dec = np.asarray(stars["dec"])[140:210]
    assert file.span(2, "dec") == (dec.min(), dec.max())


def test_parquet_without_statistics_has_no_span(stars: Table, tmp_path: Path) -> None:
    table = pa.table({"dec": np.asarray(stars["dec"])})
    pq.write_table(table, tmp_path / "stars.parquet", write_statistics=False)
    assert open_file(tmp_path / "stars.parquet").span(0, "dec") is None


def test_a_parquet_column_of_nulls_is_one_of_missing_numbers(tmp_path: Path) -> None:
    pq.write_table(pa.table({"ruwe": pa.nulls(3)}), tmp_path / "stars.parquet")
    file = open_file(tmp_path / "stars.parquet")
    assert file.dtypes["ruwe"] == np.float64
    assert np.isnan(file.read(0, ["ruwe"])["ruwe"]).all()


def test_csv_types_are_decided_by_all_rows(tmp_path: Path) -> None:
    n = 200_000  # far more than the 1 MiB by which pyarrow would decide
    rows = "\n".join(["1,"] * n + ["2,1.5"])
    (tmp_path / "stars.csv").write_text("source_id,radial_velocity\n" + rows + "\n")
    values = whole(open_file(tmp_path / "stars.csv"), "radial_velocity")["radial_velocity"]
    assert values[-1] == 1.5
    assert np.isnan(values[:-1]).all()


@pytest.mark.parametrize("n_columns", [10, 11])
def test_npy_patch_layout(tmp_path: Path, n_columns: int) -> None:
    array = np.random.default_rng(0).random((20, n_columns))
    np.save(tmp_path / "patch.npy", array)
    file = open_file(tmp_path / "patch.npy")
    assert file.names[:6] == ["pmdec", "pmra", "dec", "ra", "bp_rp", "phot_g_mean_mag"]
    assert ("stream" in file.names) == (n_columns == 11)
    for position, name in enumerate(file.names):
        np.testing.assert_array_equal(file.read(0, [name])[name], array[:, position])


@pytest.mark.parametrize("shape", [(20,), (20, 9), (20, 12)])
def test_npy_of_another_layout_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "patch.npy", np.zeros(shape))
    with pytest.raises(BadInputError, match=r"patch\.npy holds an array of shape .*pmdec, pmra"):
        open_file(tmp_path / "patch.npy")


def test_npy_with_objects_is_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "patch.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(BadInputError, match=r"patch\.npy cannot be read"):
        open_file(tmp_path / "patch.npy")


def test_fits_without_a_table_is_refused(tmp_path: Path) -> None:
    fits.PrimaryHDU(np.zeros((3, 3))).writeto(tmp_path / "image.fits")
    with pytest.raises(BadInputError, match=r"image\.fits cannot be read \(it holds no table"):
        open_file(tmp_path / "image.fits")


@pytest.mark.parametrize("kind", [kind for kind in WRITERS if "ecsv" not in kind])
def test_half_a_file_is_refused(stars: Table, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"stars.{kind}"
    WRITERS[kind](stars, path)
    content = path.read_bytes()
    # Text is cut within a row: a cut between two rows leaves a shorter valid file.
    cut = content.rindex(b",") if kind == "csv" else len(content) // 2
    path.write_bytes(content[:cut])
    with pytest.raises(BadInputError, match=r"stars\..* cannot be read .*truncated or damaged"):
        open_file(path)


def test_half_an_ecsv_row_is_refused(stars: Table, tmp_path: Path) -> None:
    path = tmp_path / "stars.ecsv"
    stars.write(path)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b" ")])
    with pytest.raises(BadInputError, match=r"stars\.ecsv cannot be read"):
        open_file(path)


def test_a_damaged_parquet_page_is_refused(stars: Table, tmp_path: Path) -> None:
    path = tmp_path / "stars.parquet"
    write_parquet(stars, path)
    content = bytearray(path.read_bytes())
    content[4:2000] = b"\xff" * 1996
    path.write_bytes(content)
    file = open_file(path)  # the footer is whole
    with pytest.raises(BadInputError, match=r"stars\.parquet cannot be read"):
        whole(file, "source_id", "ra")


@pytest.mark.parametrize("suffix", ["parquet", "fits", "ecsv", "vot", "csv", "npy"])
@pytest.mark.parametrize("content", [b"", b"\x00\x01 this is no table \xff"])
def test_empty_and_foreign_files_are_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"stars.{suffix}"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=rf"stars\.{suffix} (is empty|cannot be read)"):
        open_file(path)


def test_a_missing_file_a_folder_and_an_unknown_suffix_are_refused(tmp_path: Path) -> None:
    (tmp_path / "lake.parquet").mkdir()
    with pytest.raises(BadInputError, match=r"none\.parquet does not exist; correct query\.path"):
        open_file(tmp_path / "none.parquet")
    with pytest.raises(BadInputError, match=r"lake\.parquet is a folder"):
        open_file(tmp_path / "lake.parquet")
    with pytest.raises(BadInputError, match=r"stars\.hdf5 has no suffix of a known .*\.parquet"):
        open_file(tmp_path / "stars.hdf5")
