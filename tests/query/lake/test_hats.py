"""Catalogues of other makers: mixed orders, other columns, folders, collections, URLs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import healpy
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from viamachinae.errors import BadInputError
from viamachinae.query.lake import Lake
from viamachinae.query.lake.opening import open_hats
from viamachinae.query.lake.place import open_place

Foreign = Callable[..., Path]
COLUMNS = ["source_id", "ra", "dec", "pmra", "bp_rp"]


@pytest.mark.parametrize("suffix", [".parquet", ".parq", "/"])
@pytest.mark.parametrize("info", [True, False])
def test_the_stars_are_those_of_our_lake(
    lake: Lake, stars: pa.Table, foreign_copy: Foreign, suffix: str, info: bool
) -> None:
    foreign = open_hats(open_place(foreign_copy(stars, suffix, info=info)))
    assert len(foreign.partitions) == 2
    for disc in ((150.0, 20.0, 3.9), (152.0, 19.0, 0.7)):
        ours = lake.read_disc(*disc, COLUMNS)
        assert foreign.read_disc(*disc, COLUMNS).equals(ours)
        assert foreign.count(*disc) == pytest.approx(ours.num_rows, rel=0.1)


def test_our_lake_is_a_catalogue_like_others(lake: Lake) -> None:
    plain = open_hats(open_place(lake.name))
    disc = (150.0, 20.0, 2.0)
    assert plain.read_disc(*disc, COLUMNS).equals(lake.read_disc(*disc, COLUMNS))


def test_a_collection_leads_to_its_primary_catalogue(
    tmp_path: Path, lake: Lake, stars: pa.Table, foreign_copy: Foreign
) -> None:
    (tmp_path / "all").mkdir()
    foreign_copy(stars).rename(tmp_path / "all" / "gaia")
    (tmp_path / "all" / "collection.properties").write_text("hats_primary_table_url=gaia\n")
    found = open_hats(open_place(tmp_path / "all")).read_disc(150, 20, 1, COLUMNS)
    assert found.equals(lake.read_disc(150, 20, 1, COLUMNS))


@pytest.fixture
def remote(lake: Lake, stars: pa.Table, foreign_copy: Foreign) -> Iterator[str]:
    """Copies of our lake and of a foreign catalogue behind a URL."""
    memory = fsspec.filesystem("memory")
    copy = foreign_copy(stars)
    for source, target in ((lake.name, "/sky/lake"), (str(copy), "/sky/hats")):
        for path in Path(source).rglob("*"):
            if path.is_file():
                below = path.relative_to(source).as_posix()
                memory.pipe_file(f"{target}/{below}", path.read_bytes())
    yield "memory://sky"
    memory.rm("/sky", recursive=True)


def test_urls_are_read_in_place(remote: str, lake: Lake) -> None:
    expected = lake.read_disc(150, 20, 2, COLUMNS)
    far = Lake.open(f"{remote}/lake")
    assert far.read_disc(150, 20, 2, COLUMNS).equals(expected)
    assert far.fingerprint() == lake.fingerprint()
    assert far.present() == lake.present()
    foreign = open_hats(open_place(f"{remote}/hats"))
    assert foreign.read_disc(150, 20, 2, COLUMNS).equals(expected)


def stars_in(stars: pa.Table, order: int, pixel: int) -> NDArray[np.int64]:
    """Rows of the stars that lie in a pixel."""
    ra, dec = stars["ra"].to_numpy(), stars["dec"].to_numpy()
    return np.flatnonzero(healpy.ang2pix(2**order, ra, dec, nest=True, lonlat=True) == pixel)


def test_only_the_row_groups_and_columns_of_the_disc_are_read(
    stars: pa.Table, foreign_copy: Foreign, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = open_hats(open_place(foreign_copy(stars)))
    asked = []
    original = pq.ParquetFile.read_row_groups

    def spy(file, groups, columns, **options):
        asked.append((len(groups), file.num_row_groups, tuple(columns)))
        return original(file, groups, columns=columns, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", spy)
    largest = max(foreign.partitions[3], key=lambda pixel: len(stars_in(stars, 3, pixel)))
    middle = stars_in(stars, 3, largest)[0]
    foreign.read_disc(stars["ra"][middle].as_py(), stars["dec"][middle].as_py(), 0.3, ["pmra"])
    assert {columns for _, _, columns in asked} == {("source_id", "ra", "dec", "pmra")}
    assert len(asked) < sum(map(len, foreign.partitions.values())) / 4
    coarse = [(read, of) for read, of, _ in asked if of > 1]
    assert coarse
    assert all(0 < read < of for read, of in coarse)


def test_the_fingerprint_follows_the_files(stars: pa.Table, foreign_copy: Foreign) -> None:
    root = foreign_copy(stars)
    before = open_hats(open_place(root)).fingerprint()
    assert open_hats(open_place(root)).fingerprint() == before
    path = min(root.rglob("*.parquet"))
    pq.write_table(pq.read_table(path).slice(1), path)
    assert open_hats(open_place(root)).fingerprint() != before


def test_bad_catalogues_are_said_in_one_sentence(
    tmp_path: Path, stars: pa.Table, foreign_copy: Foreign
) -> None:
    with pytest.raises(BadInputError, match="no HATS catalogue"):
        open_hats(open_place(tmp_path))
    with pytest.raises(BadInputError, match="cannot be opened"):
        open_place("nonsense://bucket/sky")
    root = foreign_copy(stars)
    with pytest.raises(BadInputError, match="no column 'colour'"):
        open_hats(open_place(root)).read_disc(150, 20, 1, ["colour"])
    twice = min((root / "dataset/Norder=6").rglob("*.parquet"))
    part = pq.read_table(twice)
    pq.write_table(pa.concat_tables([part, part]), twice)
    with pytest.raises(BadInputError, match="repeats"):
        open_hats(open_place(root)).read_disc(150, 20, 7, ["ra"])
    (root / "partition_info.csv").write_text("Norder,Npix\n")
    with pytest.raises(BadInputError, match="lists no partition"):
        open_hats(open_place(root))
