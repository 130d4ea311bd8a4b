"""The schemas against a real table of the archive."""

from __future__ import annotations

from pathlib import Path

import astropy.units as u
import pyarrow.parquet as pq
import pytest

from viamachinae.catalog.release import GAIA_DR2, GAIA_DR3, RELEASES


def test_dr3_names_and_types_are_those_of_the_archive(sky_data: Path) -> None:
    archive = pq.read_schema(sky_data / "dr3_cone_ra45_dec0_r0.5.parquet")
    for column in GAIA_DR3.columns.values():
        assert archive.field(column.name).type.to_pandas_dtype() == column.dtype


def test_dr3_epoch_is_that_of_the_archive(sky_data: Path) -> None:
    cone = pq.read_table(sky_data / "dr3_cone_ra45_dec0_r0.5.parquet", columns=["ref_epoch"])
    assert set(cone["ref_epoch"].to_pylist()) == {GAIA_DR3.reference_epoch}


def test_only_dr3_has_ruwe() -> None:
    assert set(GAIA_DR3.columns) - set(GAIA_DR2.columns) == {"ruwe"}
    assert GAIA_DR2.reference_epoch == 2015.5


@pytest.mark.parametrize("release", RELEASES.values(), ids=RELEASES)
def test_units(release) -> None:
    assert release.columns["pmra"].unit == u.mas / u.yr
    assert release.columns["ra"].unit == u.deg
    assert release.columns["source_id"].unit is None


def test_schemas_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        GAIA_DR3.columns["teff"] = GAIA_DR3.columns["ra"]  # type: ignore[index]
