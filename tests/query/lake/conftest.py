"""Stars about (150, 20) with ids as Gaia gives them, and a lake of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import healpy
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from viamachinae.query.lake import Lake
from viamachinae.query.lake.tables import gaia_schema
from viamachinae.query.pixels import pixels_in_disc, pixels_of

ORDER = 5


@pytest.fixture(scope="session")
def stars() -> pa.Table:
    """3000 stars within 6 deg, unsorted, with gaps; the columns of Gaia DR3."""
    rng = np.random.default_rng(8)
    n = 3000
    finest = healpy.query_disc(
        2**10, healpy.ang2vec(150.0, 20.0, lonlat=True), np.radians(6), nest=True
    )
    pixel = rng.choice(finest, n) * 4**2 + rng.integers(0, 16, n)
    ra, dec = healpy.pix2ang(4096, pixel, nest=True, lonlat=True)
    ids = pixel * 2**35 + rng.permutation(n) * 2 + 1
    gaps = rng.random(n) < 0.2
    columns = {"source_id": ids, "ra": ra + rng.normal(0, 1e-5, n), "dec": dec}
    schema = gaia_schema("gaia_dr3")
    for field in schema:
        if field.name not in columns:
            values = rng.normal(0, 5, n)
            columns[field.name] = pa.array(values, mask=gaps).cast(field.type)
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)


def fill(lake: Lake, stars: pa.Table, radius_deg: float = 4.0) -> Lake:
    """Put the pixels within `radius_deg` of (150, 20) into a lake."""
    own = pixels_of(stars["source_id"].to_numpy(), lake.order)
    for pixel in pixels_in_disc(150.0, 20.0, radius_deg, lake.order).tolist():
        lake.write_pixel(pixel, stars.filter(pa.array(own == pixel)), {"made": "here"})
    return lake


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, stars: pa.Table) -> Path:
    folder = tmp_path_factory.mktemp("filled") / "lake"
    fill(Lake.create(folder, "gaia_dr3", ORDER, stars.schema, {}), stars).finish()
    return folder


@pytest.fixture
def lake(tmp_path: Path, filled: Path) -> Lake:
    """A lake of the pixels within 4 deg of (150, 20), to do anything with."""
    return Lake.open(shutil.copytree(filled, tmp_path / "lake"))


def write_foreign(
    root: Path, stars: pa.Table, suffix: str = ".parquet", *, info: bool = True
) -> Path:
    """A catalogue as others make them: fine pixels in the west, coarse ones in the east."""
    ra, dec = stars["ra"].to_numpy(), stars["dec"].to_numpy()
    finest = healpy.ang2pix(2**29, ra, dec, nest=True, lonlat=True)
    coarse = finest >> 2 * (29 - 3)
    order = np.where(coarse % 2 == 0, 3, 6)
    rows = []
    for k, pixel in sorted(
        {(int(k), int(f >> 2 * (29 - k))) for k, f in zip(order, finest, strict=True)}
    ):
        own = np.flatnonzero((order == k) & (finest >> 2 * (29 - k) == pixel))
        own = own[np.argsort(finest[own])]
        part = stars.take(own).select(sorted(stars.column_names, reverse=k == 3))
        part = part.add_column(0, "_healpix_29", pa.array(finest[own]))
        path = root / f"dataset/Norder={k}/Dir={pixel // 10000 * 10000}/Npix={pixel}{suffix}"
        if suffix == "/":
            path.mkdir(parents=True)
            half = part.num_rows // 2
            pq.write_table(part.slice(0, half), path / "a.parquet")
            pq.write_table(part.slice(half), path / "b.parquet")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(part, path, row_group_size=50)
        rows.append(f"{k},{pixel},{part.num_rows}")
    if info:
        (root / "partition_info.csv").write_text("\n".join(["Norder,Npix,num_rows", *rows]) + "\n")
    (root / "hats.properties").write_text(
        "#HATS catalog\nobs_collection=gaia\ndataproduct_type=object\nhats_col_ra = ra\n"
        f"hats_col_dec=dec\nhats_npix_suffix={suffix}\n"
    )
    return root


@pytest.fixture
def foreign_copy(tmp_path: Path) -> Callable[..., Path]:
    """Writes stars as a catalogue of another maker (suffix of partitions, with a list of them)."""
    return lambda stars, suffix=".parquet", info=True: write_foreign(
        tmp_path / "hats", stars, suffix, info=info
    )
