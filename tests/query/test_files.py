"""Stars of a disc from files, and every refusal."""

from __future__ import annotations

import logging
from pathlib import Path

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table

from tests.query.plain import CENTRE, COLUMNS, source, write
from viamachinae.query.source import Source


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
