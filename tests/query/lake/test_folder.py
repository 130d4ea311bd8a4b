"""What goes into a lake comes out of it, whole, once, and the same bytes whoever writes it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord
from numpy.typing import NDArray

from viamachinae.errors import BadInputError, UnprocessableError
from viamachinae.query.lake import Lake
from viamachinae.query.pixels import pixels_in_disc, pixels_of

PIXEL = 1113  # of (150, 20) at order 5


def separation(stars: pa.Table, ra: float, dec: float) -> NDArray[np.float64]:
    points = SkyCoord(stars["ra"].to_numpy(), stars["dec"].to_numpy(), unit="deg")
    return np.asarray(points.separation(SkyCoord(ra, dec, unit="deg")).deg)


def of_pixel(stars: pa.Table, pixel: int) -> pa.Table:
    return stars.filter(pa.array(pixels_of(stars["source_id"].to_numpy(), 5) == pixel))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("ra", "dec", "radius_deg"),
    [(150, 20, 3.9), (150, 20, 0.8), (151.5, 18.5, 1.9), (150.0001, 20, 0.02), (153, 21, 1e-6)],
)
def test_a_disc_holds_the_stars_that_astropy_says(
    lake: Lake, stars: pa.Table, ra: float, dec: float, radius_deg: float
) -> None:
    inside = stars.filter(pa.array(separation(stars, ra, dec) <= radius_deg)).sort_by("source_id")
    found = lake.read_disc(ra, dec, radius_deg, stars.column_names)
    assert found.equals(inside)
    assert lake.read_disc(ra, dec, radius_deg, ["bp_rp"]).equals(inside.select(["bp_rp"]))


def test_a_disc_smaller_than_rounding_holds_its_star(lake: Lake, stars: pa.Table) -> None:
    near = int(np.argmin(separation(stars, 150, 20)))
    ra, dec = stars["ra"][near].as_py(), stars["dec"][near].as_py()
    found = lake.read_disc(ra, dec, 1e-9, ["source_id"])
    assert found["source_id"].to_pylist() == [stars["source_id"][near].as_py()]


def test_missing_pixels_are_said_and_empty_ones_are_no_hole(lake: Lake, stars: pa.Table) -> None:
    with pytest.raises(UnprocessableError, match=r"lacks \d+ of the \d+ pixels within 6 deg"):
        lake.read_disc(150, 20, 6, ["ra"])
    with pytest.raises(BadInputError, match="viamachinae ingest"):
        lake.count(150, 20, 6)
    far = pixels_in_disc(30.0, -60.0, 1.0, 5).tolist()
    for pixel in far:
        assert lake.write_pixel(pixel, stars.schema.empty_table(), {}) == 0
    assert set(far) < lake.present()
    assert lake.read_disc(30, -60, 1, ["ra"]).num_rows == 0
    assert lake.count(30, -60, 1) == 0
    # An empty pixel is no partition.
    lake.finish()
    listed = (Path(lake.name) / "partition_info.csv").read_text()
    assert not any(f"5,{pixel}\n" in listed for pixel in far)


def test_counts_come_near(lake: Lake, stars: pa.Table) -> None:
    exact = (separation(stars, 150, 20) <= 3.5).sum()
    assert lake.count(150, 20, 3.5) == pytest.approx(exact, rel=0.03)


def test_a_lake_is_the_same_bytes_in_whatever_order_it_is_written(
    tmp_path: Path, lake: Lake, stars: pa.Table
) -> None:
    other = Lake.create(tmp_path / "other", "gaia_dr3", 5, stars.schema, {})
    for pixel in sorted(lake.present(), reverse=True):
        own = of_pixel(stars, pixel)
        own = own.take(np.arange(own.num_rows)[::-1]).select(sorted(own.column_names))
        other.write_pixel(pixel, own, {"made": "here"})
        other.write_pixel(pixel, own, {"made": "again"})
    other.finish()
    other.finish()
    assert contents(tmp_path / "other") == contents(Path(lake.name))
    assert other.fingerprint() == lake.fingerprint()


def write(folder: Path, stars: pa.Table) -> None:
    Lake.open(folder).write_pixel(PIXEL, of_pixel(stars, PIXEL), {})


def test_processes_may_write_one_pixel_at_once(tmp_path: Path, stars: pa.Table) -> None:
    Lake.create(tmp_path / "one", "gaia_dr3", 5, stars.schema, {})
    Lake.create(tmp_path / "many", "gaia_dr3", 5, stars.schema, {})
    write(tmp_path / "one", stars)
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write, args=(tmp_path / "many", stars)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert contents(tmp_path / "many") == contents(tmp_path / "one")


def test_units_ranges_and_order_stand_in_the_files(lake: Lake, stars: pa.Table) -> None:
    file = pq.ParquetFile(Path(lake.name) / f"dataset/Norder=5/Dir=0/Npix={PIXEL}.parquet")
    assert file.schema_arrow.field("pmra").metadata[b"unit"] == b"mas / yr"
    own = of_pixel(stars, PIXEL)
    for name in ("source_id", "ra", "dec"):
        index = file.schema_arrow.names.index(name)
        range_ = file.metadata.row_group(0).column(index).statistics
        values = own[name].to_numpy()
        assert (range_.min, range_.max) == (values.min(), values.max())
    assert np.all(np.diff(file.read()["source_id"].to_numpy()) > 0)


def test_nan_and_null_are_one(tmp_path: Path, lake: Lake, stars: pa.Table) -> None:
    filled = stars.set_column(
        stars.column_names.index("bp_rp"), "bp_rp", stars["bp_rp"].fill_null(float("nan"))
    )
    other = Lake.create(tmp_path / "other", "gaia_dr3", 5, stars.schema, {})
    other.write_pixel(PIXEL, of_pixel(filled, PIXEL), {})
    assert other.record(PIXEL).hash == lake.record(PIXEL).hash


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop_columns(["pmra"]), "no column 'pmra'"),
        (lambda t: pa.concat_tables([t, t.slice(0, 2)]), "more than once"),
        (lambda t: t.set_column(1, "ra", pa.array(t["ra"].to_numpy() + 9)), "own source_id"),
        (lambda t: t.set_column(1, "ra", pa.nulls(len(t), pa.float64())), "without a value"),
        (lambda t: t.set_column(2, "dec", pa.array(["north"] * len(t))), "are no double"),
        (lambda t: t.slice(1), "differ"),
    ],
)
def test_stars_that_do_not_fit_are_refused(
    lake: Lake, stars: pa.Table, change: Callable[[pa.Table], pa.Table], words: str
) -> None:
    before = contents(Path(lake.name))
    with pytest.raises(BadInputError, match=words):
        lake.write_pixel(PIXEL, change(of_pixel(stars, PIXEL)), {})
    assert contents(Path(lake.name)) == before


def test_stars_of_another_pixel_are_refused(lake: Lake, stars: pa.Table) -> None:
    with pytest.raises(BadInputError, match="another pixel"):
        lake.write_pixel(PIXEL, of_pixel(stars, PIXEL + 1), {})


@pytest.mark.parametrize("where", [0.1, 0.5, 0.98])
def test_a_damaged_file_is_said_in_one_sentence(lake: Lake, where: float) -> None:
    path = Path(lake.name) / f"dataset/Norder=5/Dir=0/Npix={PIXEL}.parquet"
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= 0xFF
    path.write_bytes(content)
    names = lake.schema.names
    with pytest.raises(UnprocessableError, match=rf"Npix={PIXEL}.parquet cannot be read") as caught:
        lake.read_disc(150, 20, 3, names)
    assert "\n" not in str(caught.value)


def test_a_truncated_file_is_said_and_mended_by_writing_again(lake: Lake, stars: pa.Table) -> None:
    path = Path(lake.name) / f"dataset/Norder=5/Dir=0/Npix={PIXEL}.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1000])
    with pytest.raises(UnprocessableError, match="cannot be read"):
        lake.read_disc(150, 20, 3, ["ra"])
    lake.write_pixel(PIXEL, of_pixel(stars, PIXEL), {})
    assert path.read_bytes() == whole


def test_a_lake_of_another_kind_is_not_written_to(lake: Lake, tmp_path: Path) -> None:
    folder, schema = Path(lake.name), lake.schema
    assert Lake.create(folder, "gaia_dr3", 5, schema, {"more": 1}).provenance == {}
    with pytest.raises(BadInputError, match="at order 5"):
        Lake.create(folder, "gaia_dr3", 6, schema, {})
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    with pytest.raises(BadInputError, match="no lake and not empty"):
        Lake.create(tmp_path / "notes", "gaia_dr3", 5, schema, {})
    description = folder / "lake.json"
    description.write_text(description.read_text().replace('"version": 1', '"version": 99'))
    with pytest.raises(BadInputError, match="format 99"):
        Lake.open(folder)
    description.write_text("{")
    with pytest.raises(BadInputError, match=r"lake\.json cannot be read"):
        Lake.open(folder)
    with pytest.raises(BadInputError, match="no lake of viamachinae"):
        Lake.open(tmp_path / "absent")


def test_a_lake_whose_making_was_cut_short_is_made(tmp_path: Path, stars: pa.Table) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / ".lake.json.here.999999999.abc.tmp").write_text("{")
    Lake.create(tmp_path / "lake", "gaia_dr3", 5, stars.schema, {})
    assert Lake.open(tmp_path / "lake").present() == set()


def test_the_fingerprint_follows_the_stars(lake: Lake, stars: pa.Table) -> None:
    before = lake.fingerprint()
    assert Lake.open(lake.name).fingerprint() == before
    lake.write_pixel(0, stars.schema.empty_table(), {})
    assert lake.fingerprint() != before
