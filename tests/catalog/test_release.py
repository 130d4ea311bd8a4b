"""The schemas against a real table of the archive."""

from __future__ import annotations

from pathlib import Path

import astropy.units as u
import pyarrow.parquet as pq
import pytest

from viamachinae.catalog.release import GAIA_DR3, RELEASES


def test_dr3_names_and_types_are_those_of_the_archive(sky_data: Path) -> None:
    archive = pq.read_schema(sky_data / "dr3_cone_ra45_dec0_r0.5.parquet")
    for column in GAIA_DR3.columns.values():
        assert archive.field(column.name).type.to_pandas_dtype() == column.dtype


def test_ruwe_of_dr2_stands_in_a_table_of_its_own() -> None:
    for name, table in {"gaia_dr2": "gaiadr2.ruwe", "gaia_dr3": "", "gaia_dr4": ""}.items():
        columns = RELEASES[name].columns
        assert {column.name for column in columns.values() if column.table} == (
            {"ruwe"} if table else set()
        )
        assert columns["ruwe"].table == table


def test_what_is_published_of_each_release() -> None:
    zero_points = {
        name: release.parallax_zero_point and release.parallax_zero_point.value_mas
        for name, release in RELEASES.items()
    }
    assert zero_points == {"gaia_dr2": -0.029, "gaia_dr3": -0.017, "gaia_dr4": None}


@pytest.mark.parametrize("release", RELEASES.values(), ids=RELEASES)
def test_units(release) -> None:
    assert release.columns["pmra"].unit == u.mas / u.yr
    assert release.columns["ra"].unit == u.deg
    assert release.columns["source_id"].unit is None


def test_schemas_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        GAIA_DR3.columns["teff"] = GAIA_DR3.columns["ra"]  # type: ignore[index]
