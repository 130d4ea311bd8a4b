"""A scan of a lake finds what a scan of the same stars in files finds."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from viamachinae.config import FilesQuery, LakeQuery, ScanConfig
from viamachinae.pipeline.extent import Extent
from viamachinae.pipeline.patch import patch
from viamachinae.pipeline.simulate import simulate
from viamachinae.query.lake.ingest import ingest
from viamachinae.query.lake.tables import gaia_schema
from viamachinae.sky import tile
from viamachinae.store.run import RunFolder


@pytest.fixture(scope="module")
def stars(small: ScanConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stars of the small sky in one file, in the types of the archive."""
    path = tmp_path_factory.mktemp("stars") / "stars.parquet"
    simulate(small, path)
    schema = gaia_schema("gaia_dr3")
    pq.write_table(pq.read_table(path).select(schema.names).cast(schema), path)
    return path


def test_preprocess_gives_the_same_bytes(small: ScanConfig, stars: Path, tmp_path: Path) -> None:
    ingest([stars], tmp_path / "lake", order=2, workers=1)
    lake = LakeQuery(source="lake", path=str(tmp_path / "lake"))
    queries = {"files": FilesQuery(source="files", path=stars), "lake": lake}
    where = tile(small.sky)[0].id
    written = {}
    for name, query in queries.items():
        config = small.model_copy(update={"query": query})
        ended = patch(config, tmp_path / name, where, Extent(("preprocess",)))
        assert [record.outcome for record in ended] == ["done"]
        written[name] = RunFolder(tmp_path / name).stars(where).read_bytes()
    assert written["lake"] == written["files"]


def test_a_patch_whose_pixels_are_missing_is_unprocessable(
    small: ScanConfig, stars: Path, tmp_path: Path
) -> None:
    # At this order the pixels about the two patches' rims hold no star of theirs.
    ingest([stars], tmp_path / "lake", order=5, workers=1)
    wide = small.sky.model_copy(update={"radius_deg": 9.0})
    lake = LakeQuery(source="lake", path=str(tmp_path / "lake"))
    config = small.model_copy(update={"query": lake, "sky": wide})
    ended = patch(config, tmp_path / "run", tile(wide)[0].id, Extent(("preprocess",)))
    assert [record.outcome for record in ended] == ["unprocessable"]
    assert "pixels within 9 deg" in ended[0].reason
