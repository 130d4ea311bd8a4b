"""Stars of a disc from files, and every refusal."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table, vstack

from viamachinae.config import FilesQuery
from viamachinae.errors import BadInputError
from viamachinae.query.files import FilesSource
from viamachinae.query.source import Source

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


@pytest.fixture
def fits_path(stars: Table, tmp_path: Path) -> Path:
    stars.write(tmp_path / "stars.fits")
    return tmp_path / "stars.fits"


# --- stars of a disc ------------------------------------------------------------------------


def test_a_disc_holds_the_stars_that_astropy_says(fits_path: Path, stars: Table) -> None:
    separation = SkyCoord(stars["ra"], stars["dec"]).separation(SkyCoord(*CENTRE, unit="deg"))
    inside = stars[separation.deg <= 1.2]
    inside.sort("source_id")
    found = source(fits_path).stars(*CENTRE, 1.2, [*COLUMNS, "n_obs"])
    assert 0 < len(found) < len(stars)
    assert found.colnames == [*COLUMNS, "n_obs"]
    np.testing.assert_array_equal(found["source_id"], inside["source_id"])
    np.testing.assert_array_equal(found["pmra"], inside["pmra"].filled(np.nan))
    assert source(fits_path).count(*CENTRE, 1.2) == len(inside)


def test_types_and_units(fits_path: Path) -> None:
    found = source(fits_path).stars(*CENTRE, 1.0, [*COLUMNS, "phot_g_mean_mag", "is_member"])
    assert found["source_id"].dtype == np.int64
    assert found["phot_g_mean_mag"].dtype == np.float64
    assert found["is_member"].dtype == np.bool_
    assert found["pmra"].unit == u.mas / u.yr
    assert found["ra"].unit == u.deg
    assert not found.has_masked_columns


def test_it_is_a_source(fits_path: Path) -> None:
    files: Source = source(fits_path)
    assert files.name == str(fits_path)
    assert {"source_id", "pmra", "n_obs"} <= files.columns()


@pytest.mark.parametrize(
    ("ra", "dec", "radius_deg"), [(0.0, 0.0, 15.0), (200.0, 89.0, 5.0), (10.0, -90.0, 20.0)]
)
def test_row_groups_are_skipped_without_loss(
    tmp_path: Path, ra: float, dec: float, radius_deg: float
) -> None:
    rng = np.random.default_rng(2)
    n = 30_000
    sky = {"ra": rng.uniform(0, 360, n), "dec": np.degrees(np.arcsin(rng.uniform(-1, 1, n)))}
    order = np.lexsort((sky["ra"], sky["dec"] // 5))
    sky = {name: values[order] for name, values in sky.items()}
    table = pa.table({**sky, "source_id": np.arange(n), "pmra": sky["ra"], "pmdec": sky["ra"]})
    pq.write_table(table, tmp_path / "sky.parquet", row_group_size=300)
    separation = SkyCoord(sky["ra"], sky["dec"], unit="deg").separation(
        SkyCoord(ra, dec, unit="deg")
    )
    found = source(tmp_path / "sky.parquet").stars(ra, dec, radius_deg, ["source_id"])
    expected = np.flatnonzero(separation.deg <= radius_deg)
    assert expected.size > 20
    np.testing.assert_array_equal(found["source_id"], expected)


def test_an_empty_disc_has_typed_columns(fits_path: Path) -> None:
    found = source(fits_path).stars(10.0, -50.0, 1.0, [*COLUMNS, "is_member"])
    assert len(found) == 0
    assert [found[name].dtype for name in found.colnames] == [
        *(np.int64, np.float64, np.float64, np.float64, np.float64, np.bool_)
    ]


def test_columns_go_by_gaias_name_and_the_files(tmp_path: Path) -> None:
    path = write(tmp_path / "s.parquet", pmra=None, pm_ra=np.array([7.0, 8.0, 9.0]))
    files = source(path, columns={"pmra": "pm_ra"})
    found = files.stars(*CENTRE, 1.0, ["pmra", "pm_ra"])
    assert found["pmra"].tolist() == found["pm_ra"].tolist() == [7.0, 8.0, 9.0]
    assert {"pmra", "pm_ra"} <= files.columns()


def test_stated_units_are_converted(stars: Table, tmp_path: Path) -> None:
    expected = np.sort(stars["pmra"].filled(np.nan))
    for name, unit in (("ra", u.rad), ("dec", u.arcmin), ("pmra", u.deg / u.yr)):
        stars[name] = stars[name].to(unit) if name != "pmra" else stars[name] / 3.6e6
        stars[name].unit = unit
    stars.write(tmp_path / "s.ecsv")
    found = source(tmp_path / "s.ecsv").stars(*CENTRE, 5.0, ["pmra", "ra"])
    np.testing.assert_allclose(np.sort(found["pmra"]), expected, rtol=1e-12)
    assert found["ra"].unit == u.deg


def test_several_files_are_one_catalogue(stars: Table, tmp_path: Path) -> None:
    paths = [tmp_path / "a.fits", tmp_path / "b.ecsv"]
    stars[:100].write(paths[0])
    stars[100:].write(paths[1])
    found = source(paths).stars(*CENTRE, 5.0, ["source_id"])
    np.testing.assert_array_equal(found["source_id"], np.sort(stars["source_id"]))


def test_npy_patch_files_are_read(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(0, 1, (50, 10))
    array[:, 2:4] += [20.0, 150.0]
    np.save(tmp_path / "patch.npy", array)
    found = source(tmp_path / "patch.npy").stars(*CENTRE, 20.0, ["pmdec", "phot_g_mean_mag"])
    np.testing.assert_array_equal(found["pmdec"], array[:, 0])
    np.testing.assert_array_equal(found["phot_g_mean_mag"], array[:, 5])


def test_row_numbers_serve_as_ids_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    far = np.array([10.0, 150.0, 150.0])
    paths = [
        write(tmp_path / "a.parquet", source_id=None, ra=far),
        write(tmp_path / "b.parquet", source_id=None),
    ]
    with caplog.at_level(logging.WARNING, logger="viamachinae.query"):
        found = source(paths).stars(*CENTRE, 1.0, ["source_id"])
    assert found["source_id"].tolist() == [1, 2, 3, 4, 5]
    assert found["source_id"].dtype == np.int64
    assert [record.getMessage() for record in caplog.records] == [
        f"{paths[0]} and 1 more has no column source_id; row numbers serve instead"
    ]


def test_row_numbers_do_not_depend_on_the_disc(tmp_path: Path) -> None:
    dec = np.array([-50.0, 20.0, 60.0])
    path = tmp_path / "s.parquet"
    table = {"ra": np.full(3, 150.0), "dec": dec, "pmra": dec, "pmdec": dec}
    pq.write_table(pa.table(table), path, row_group_size=1)
    assert source(path).stars(150.0, 60.0, 1.0, ["source_id"])["source_id"].tolist() == [2]


def test_a_star_without_a_position_is_in_no_disc(tmp_path: Path) -> None:
    path = write(tmp_path / "s.parquet", ra=pa.array([150.0, None, 150.0]))
    assert source(path).count(*CENTRE, 180.0) == 2


def test_some_missing_proper_motions_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "s.parquet", pmra=pa.array([1.0, None, 3.0]))
    found = source(path).stars(*CENTRE, 1.0, ["pmra"])
    np.testing.assert_array_equal(found["pmra"], [1.0, np.nan, 3.0])


def test_a_disc_may_miss_all_proper_motions_where_the_file_has_some(tmp_path: Path) -> None:
    path = write(tmp_path / "s.parquet", pmra=pa.array([None, None, 3.0]))
    assert len(source(path).stars(149.9, 20.0, 0.01, ["pmra"])) == 1


def test_real_gaia_cone(sky_data: Path) -> None:
    path = sky_data / "dr3_cone_ra45_dec0_r0.5.parquet"
    found = source(path).stars(45.0, 0.0, 1.0, [*COLUMNS, "bp_rp", "ruwe", "rv_nb_transits"])
    archive = pq.read_table(path)
    assert len(found) == archive.num_rows == 2390
    for name in ("pmra", "bp_rp", "ruwe", "rv_nb_transits"):
        assert np.isnan(found[name]).sum() == archive[name].null_count
    np.testing.assert_array_equal(found["source_id"], np.sort(archive["source_id"].to_numpy()))


# --- fingerprint ----------------------------------------------------------------------------


def test_fingerprint_follows_content_and_meaning_not_place(tmp_path: Path) -> None:
    first = write(tmp_path / "a.parquet")
    copy = write(tmp_path / "b.parquet")
    other = write(tmp_path / "c.parquet", pmra=np.array([1.0, 2.0, 3.5]))
    assert source(first).fingerprint() == source(copy).fingerprint()
    prints = {
        source(first).fingerprint(),
        source(other).fingerprint(),
        source([first, other]).fingerprint(),
        source([other, first]).fingerprint(),
        source(first, columns={"pmra": "pmdec", "pmdec": "pmra"}).fingerprint(),
        source(first, release="gaia_dr2").fingerprint(),
    }
    assert len(prints) == 6


# --- refusals -------------------------------------------------------------------------------


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
