"""How fast a lake is read and made, against LSDB, DuckDB and hats-import on the same files.

    pip install -r workflows/benchmarks/requirements-lake.txt
    python workflows/benchmarks/lake.py FOLDER [--rows 20000000] [--table-rows 2000000]

FOLDER gets a lake of simulated stars of galactic latitudes above 28 deg, from which a patch is
read, and compressed CSV tables in the layout of the archive's bulk files, of which lakes are
made. What FOLDER holds already is used again. Each reading runs in a process of its own; what is
told is the best of some readings, the time that cores were busy with it (which other users of the
machine do not stretch), and the most memory the process took.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import healpy
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from astropy.coordinates import SkyCoord

from viamachinae.config import GalaxyConfig, LakeQuery
from viamachinae.query.lake import Lake
from viamachinae.query.lake.folder import DEFAULT_ORDER
from viamachinae.query.lake.ingest import ingest
from viamachinae.query.lake.processes import cores
from viamachinae.query.lake.source import LakeSource
from viamachinae.query.lake.tables import gaia_schema, unit_of
from viamachinae.simulate import galaxy, pixels

# A patch of 1.3 million stars where the lake has 20 million.
CENTRE = SkyCoord(l=70.0, b=46.0, unit="deg", frame="galactic").icrs
RADIUS_DEG = 15.0
MIN_LATITUDE_DEG = 28.0
# Of ten stars in a drawn pixel (0.84 square deg) one is drawn, and nine have its data elsewhere.
REPEATS = 10
N_TABLES = 4
READINGS = 4
SCHEMA = gaia_schema("gaia_dr3")


# --- stars ----------------------------------------------------------------------------------


def region() -> np.ndarray:
    """The pixels of a lake at galactic latitudes above the least."""
    held = np.arange(healpy.nside2npix(2**DEFAULT_ORDER))
    lon, lat = healpy.pix2ang(2**DEFAULT_ORDER, held, nest=True, lonlat=True)
    return held[SkyCoord(lon, lat, unit="deg").galactic.b.deg > MIN_LATITUDE_DEG]


def thinned(n_rows: int) -> GalaxyConfig:
    """The galaxy that gives `n_rows` stars in the region when each is repeated."""
    middles = np.stack(healpy.pix2vec(2**DEFAULT_ORDER, region(), nest=True), axis=-1)
    area_sr = 4 * np.pi / healpy.nside2npix(2**DEFAULT_ORDER)
    expected = float(galaxy.surface_density(GalaxyConfig(), middles).sum()) * area_sr
    return GalaxyConfig(fraction=n_rows / REPEATS / expected)


def stars_of(config: GalaxyConfig, pixel: int) -> pa.Table:
    """The stars of a pixel of the lake."""
    rng, parts = np.random.default_rng(pixel), []
    for child in range(4 * pixel, 4 * pixel + 4):
        drawn = galaxy.draw_pixel(config, 0, child)
        many = {name: np.repeat(drawn[name], REPEATS) for name in SCHEMA.names}
        many["ra"], many["dec"], own = pixels.uniform_positions(rng, child, len(many["ra"]))
        many["source_id"] = own * pixels.ID_FACTOR + np.arange(len(own))
        parts.append(pa.table(many).cast(SCHEMA))
    return pa.concat_tables(parts)


def fill(config: GalaxyConfig, folder: Path, held: np.ndarray) -> None:
    """Write some pixels of a lake."""
    lake = Lake.open(folder)
    present = lake.present()
    for pixel in (one for one in held.tolist() if one not in present):
        lake.write_pixel(pixel, stars_of(config, pixel), {})


def make_lake(folder: Path, n_rows: int) -> None:
    """A lake of about `n_rows` stars."""
    lake = Lake.create(folder, "gaia_dr3", DEFAULT_ORDER, SCHEMA, {"made_by": "benchmark"})
    with ProcessPoolExecutor() as pool:
        list(pool.map(partial(fill, thinned(n_rows), folder), np.array_split(region(), 64)))
    print(f"lake of {lake.finish():,} stars")


def write_tables(folder: Path, n_rows: int) -> list[Path]:
    """About `n_rows` stars of full density in tables of neighbouring pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    held, paths = region(), []
    config = thinned(20_000_000)
    share = held[: max(N_TABLES, round(n_rows / 20_000_000 * len(held)))]
    for index, part in enumerate(np.array_split(share, N_TABLES)):
        paths.append(folder / f"GaiaSource_{index:03d}.csv.gz")
        if not paths[-1].exists():
            write_table(pa.concat_tables([stars_of(config, one) for one in part]), paths[-1])
    return paths


def write_table(stars: pa.Table, path: Path) -> None:
    """A table as the archive's bulk files are."""
    header = ["# %ECSV 1.0", "# ---", "# delimiter: ','", "# datatype:"]
    for one in SCHEMA:
        unit = f", unit: {unit_of(one)}" if unit_of(one) else ""
        kind = np.dtype(one.type.to_pandas_dtype()).name
        header.append(f"# - {{name: {one.name}, datatype: {kind}{unit}}}")
    temporary = path.with_suffix(".tmp")
    with gzip.open(temporary, "wb", compresslevel=1) as stream:
        stream.write(("\n".join(header) + "\n").encode())
        pa.csv.write_csv(stars, stream, pa.csv.WriteOptions(quoting_style="none"))
    temporary.rename(path)


# --- readers: each returns the number of stars in the disc -----------------------------------


def read_ours(lake: Path) -> int:
    """The stars as a scan takes them."""
    source = LakeSource(LakeQuery(source="lake", path=str(lake)))
    return len(source.stars(CENTRE.ra.deg, CENTRE.dec.deg, RADIUS_DEG, SCHEMA.names))


def read_lsdb(lake: Path) -> int:
    """LSDB's cone search, with the scheduler that it takes by default."""
    import lsdb

    cone = lsdb.ConeSearch(CENTRE.ra.deg, CENTRE.dec.deg, RADIUS_DEG * 3600)
    catalogue = lsdb.open_catalog(lake, columns=SCHEMA.names, search_filter=cone)
    return len(catalogue.compute(progress_bar=False))


def read_duckdb(lake: Path) -> int:
    """DuckDB with a dot product of unit vectors, and a box about the disc so that it can prune."""
    import duckdb

    ra, dec = CENTRE.ra.deg, CENTRE.dec.deg
    half = math.degrees(math.asin(math.sin(math.radians(RADIUS_DEG)) / math.cos(math.radians(dec))))
    found = duckdb.sql(f"""
        SELECT {", ".join(SCHEMA.names)} FROM read_parquet('{lake}/dataset/**/Npix*.parquet')
        WHERE dec BETWEEN {dec - RADIUS_DEG} AND {dec + RADIUS_DEG}
          AND ra BETWEEN {ra - half} AND {ra + half}
          AND sin(radians(dec)) * {math.sin(math.radians(dec))}
            + cos(radians(dec)) * {math.cos(math.radians(dec))} * cos(radians(ra - {ra}))
            >= {math.cos(math.radians(RADIUS_DEG))}
        ORDER BY source_id""")
    return len(found.fetchnumpy()["source_id"])


READERS: dict[str, Callable[[Path], int]] = {
    "viamachinae": read_ours,
    "LSDB": read_lsdb,
    "DuckDB": read_duckdb,
}


def measure(name: str, lake: Path) -> dict[str, float]:
    """Read some times in a process of its own: stars, seconds of each reading, peak in MiB."""
    words = [sys.executable, __file__, str(lake), "--read", name]
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def read(name: str, lake: Path) -> None:
    """Print what `measure` reads."""
    seconds, busy = [], []
    for _ in range(READINGS):
        begin, busy_before = time.perf_counter(), time.process_time()
        n_stars = READERS[name](lake)
        seconds.append(time.perf_counter() - begin)
        busy.append(time.process_time() - busy_before)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = {"n": n_stars, "first": seconds[0], "best": min(seconds), "cpu": min(busy)}
    print(json.dumps(told | {"peak": peak}))


# --- makers ----------------------------------------------------------------------------------


def import_hats(tables: list[Path], out: Path, workers: int) -> None:
    """hats-import, with pixels of the same order and only the same columns."""
    from hats_import import pipeline
    from hats_import.catalog.arguments import ImportArguments
    from hats_import.catalog.file_readers import CsvReader

    # Left to itself it finds neither that the tables are compressed nor that float32 will do.
    types = {one.name: np.dtype(one.type.to_pandas_dtype()) for one in SCHEMA}
    reader = CsvReader(type_map=types, comment="#", compression="gzip")
    pipeline(
        ImportArguments(
            output_path=out.parent,
            output_artifact_name=out.name,
            input_file_list=tables,
            file_reader=reader,
            constant_healpix_order=5,
            sort_columns="source_id",
            dask_n_workers=workers,
            dask_threads_per_worker=1,
            progress_bar=False,
        )
    )


def timed(make: Callable[[], object], out: Path) -> float:
    """Seconds to make a lake from nothing."""
    shutil.rmtree(out, ignore_errors=True)
    begin = time.perf_counter()
    make()
    return time.perf_counter() - begin


def read_all(lake: Path) -> None:
    """Read the patch with every reader."""
    found = {name: measure(name, lake) for name in READERS}
    for name, one in found.items():
        ratio = one["best"] / found["viamachinae"]["best"]
        print(
            f"read, {name}: {one['n']:,} stars, first {one['first']:.2f} s, warm "
            f"{one['best']:.2f} s ({ratio:.1f} x ours), {one['cpu']:.2f} s of all cores, peak "
            f"{one['peak']:.0f} MiB"
        )


def make_all(folder: Path, n_rows: int) -> None:
    """Make a lake of the same tables with every maker."""
    tables, workers = write_tables(folder / "tables", n_rows), cores()
    makers = {
        "viamachinae": lambda out: ingest(tables, out, workers=workers),
        "hats-import": lambda out: import_hats(tables, out, workers),
    }
    for name, make in makers.items():
        seconds = timed(partial(make, folder / name), folder / name)
        stars = pa.parquet.read_metadata(folder / name / "dataset" / "_metadata").num_rows
        print(f"make, {name}: {stars:,} stars in {seconds:.0f} s, {stars / seconds:,.0f}/s")


def main() -> None:
    """Read a patch, and make lakes, side by side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=20_000_000, help="stars of the lake read")
    parser.add_argument("--table-rows", type=int, default=2_000_000, help="stars of the tables")
    parser.add_argument("--read", choices=READERS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        read(given.read, given.folder)
        return
    if not (given.folder / "lake" / "hats.properties").exists():
        make_lake(given.folder / "lake", given.rows)
    read_all(given.folder / "lake")
    make_all(given.folder, given.table_rows)


if __name__ == "__main__":
    main()
