"""A lake gives the stars that files of the same stars give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from viamachinae.config import FilesQuery, LakeQuery
from viamachinae.errors import BadInputError, UnprocessableError
from viamachinae.query.files import FilesSource
from viamachinae.query.lake import Lake
from viamachinae.query.lake.ingest import ingest
from viamachinae.query.lake.source import LakeSource
from viamachinae.query.source import Source

Foreign = Callable[..., Path]
DISC = (150.5, 20.5, 2.5)


def source(path: object, **options: Any) -> LakeSource:
    return LakeSource(LakeQuery(source="lake", path=str(path), **options))


@pytest.fixture
def files(tmp_path: Path, stars: pa.Table) -> FilesSource:
    pq.write_table(stars, tmp_path / "stars.parquet")
    return FilesSource(FilesQuery(source="files", path=tmp_path / "stars.parquet"))


@pytest.mark.parametrize("kind", ["ours", "foreign"])
def test_the_stars_are_those_of_the_files(
    lake: Lake, stars: pa.Table, files: FilesSource, foreign_copy: Foreign, kind: str
) -> None:
    path = lake.name if kind == "ours" else foreign_copy(stars)
    found: Source = source(path)
    assert found.columns() >= set(stars.column_names)
    ours, theirs = (one.stars(*DISC, stars.column_names) for one in (found, files))
    assert len(ours) > 200
    assert ours.colnames == theirs.colnames
    for name in ours.colnames:
        assert ours[name].dtype == theirs[name].dtype
        assert ours[name].unit == theirs[name].unit
        np.testing.assert_array_equal(ours[name], theirs[name])
    assert found.count(*DISC) == pytest.approx(len(ours), rel=0.1)


def test_columns_may_have_other_names(lake: Lake, stars: pa.Table, foreign_copy: Foreign) -> None:
    renamed = stars.rename_columns(
        {"source_id": "star", "pmra": "mu"} | {n: n for n in stars.column_names[1:] if n != "pmra"}
    )
    assert "mu" in renamed.column_names
    root = foreign_copy(renamed)
    with pytest.raises(BadInputError, match="no column 'source_id'"):
        source(root)
    found = source(root, columns={"source_id": "star", "pmra": "mu"})
    ours, plain = found.stars(*DISC, ["source_id", "pmra"]), source(lake.name)
    np.testing.assert_array_equal(ours["pmra"], plain.stars(*DISC, ["pmra"])["pmra"])
    assert found.fingerprint() != plain.fingerprint()


def test_what_cannot_be_given_is_said(lake: Lake) -> None:
    with pytest.raises(UnprocessableError, match="lacks"):
        source(lake.name).stars(30, -60, 1, ["ra"])
    with pytest.raises(BadInputError, match="no column 'ebv'"):
        source(lake.name).stars(*DISC, ["ebv"])
    with pytest.raises(BadInputError, match=r"query\.release: gaia_dr3"):
        source(lake.name, release="gaia_dr2")
    with pytest.raises(BadInputError, match="no HATS catalogue"):
        source("absent")


def test_text_where_numbers_are_due_is_refused(stars: pa.Table, foreign_copy: Foreign) -> None:
    where = stars.column_names.index("pmra")
    text = stars.set_column(where, "pmra", stars["pmra"].cast(pa.string()))
    with pytest.raises(BadInputError, match="holds text in its column 'pmra'"):
        source(foreign_copy(text))


def test_real_stars_pass_through_a_lake_unchanged(sky_data: Path, tmp_path: Path) -> None:
    cone = sky_data / "dr3_cone_ra45_dec0_r0.5.parquet"
    ingest([cone], tmp_path / "lake", whole_sky=True, order=2, workers=1)
    files = FilesSource(FilesQuery(source="files", path=cone))
    names = sorted(source(tmp_path / "lake").columns())
    ours = source(tmp_path / "lake").stars(45, 0, 0.6, names)
    theirs = files.stars(45, 0, 0.6, names)
    assert len(ours) == 2390
    for name in names:
        np.testing.assert_array_equal(ours[name], theirs[name])
