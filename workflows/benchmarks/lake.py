"""How fast a lake is read and made, against LSDB, DuckDB and hats-import on the same files.

    pip install -r workflows/benchmarks/requirements-lake.txt
    python workflows/benchmarks/lake.py FOLDER [--rows 20000000] [--tables 4]

FOLDER gets simulated stars of galactic latitudes above 30 deg as compressed CSV tables in the
layout of the archive's bulk files, the lake made of them, and the lakes of the comparison, which
takes the first few tables alone. What FOLDER holds already is used again. Each reading runs in a
process of its own; what is told is the best of some readings, the time that cores were busy with
it (which other users of the machine do not stretch), and the most memory the process took.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
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
from astropy.coordinates import SkyCoord

from viamachinae.config import GalaxyConfig, LakeQuery
from viamachinae.query.lake.ingest import ingest
from viamachinae.query.lake.source import LakeSource
from viamachinae.query.lake.tables import gaia_schema, unit_of
from viamachinae.simulate import galaxy, pixels

# A patch of 1.5 million stars where the lake has 20 million.
CENTRE = SkyCoord(l=70.0, b=46.0, unit="deg", frame="galactic").icrs
RADIUS_DEG = 15.0
MIN_LATITUDE_DEG = 30.0
N_TABLES = 40
READINGS = 4
SCHEMA = gaia_schema("gaia_dr3")


# --- stars ----------------------------------------------------------------------------------


def write_tables(folder: Path, n_rows: int) -> list[Path]:
    """About `n_rows` simulated stars in tables of neighbouring pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    held = np.arange(healpy.nside2npix(pixels.NSIDE))
    lon, lat = healpy.pix2ang(pixels.NSIDE, held, nest=True, lonlat=True)
    region = held[SkyCoord(lon, lat, unit="deg").galactic.b.deg > MIN_LATITUDE_DEG]
    middles = np.stack(healpy.pix2vec(pixels.NSIDE, region, nest=True), axis=-1)
    expected = galaxy.surface_density(GalaxyConfig(), middles).sum() * pixels.AREA_SR
    config = GalaxyConfig(fraction=min(1.0, n_rows / float(expected)))
    paths = [folder / f"GaiaSource_{index:03d}.csv.gz" for index in range(N_TABLES)]
    with ProcessPoolExecutor() as pool:
        parts = np.array_split(region, N_TABLES)
        list(pool.map(partial(write_table, config), paths, parts))
    return paths


def write_table(config: GalaxyConfig, path: Path, region: np.ndarray) -> None:
    """The stars of some pixels as the archive's bulk files have them."""
    if path.exists():
        return
    drawn = [galaxy.draw_pixel(config, 0, int(pixel)) for pixel in region]
    columns = {name: np.concatenate([one[name] for one in drawn]) for name in SCHEMA.names}
    stars = pa.table(columns).cast(SCHEMA)
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


def main() -> None:
    """Make the stars and the lake, then read and make side by side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--tables", type=int, default=4, help="tables for the making")
    parser.add_argument("--read", choices=READERS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        read(given.read, given.folder)
        return
    tables = write_tables(given.folder / "tables", given.rows)
    workers = len(os.sched_getaffinity(0))
    lake = given.folder / "lake"
    if not (lake / "hats.properties").exists():
        begin = time.perf_counter()
        done = ingest(tables, lake, workers=workers)
        seconds = time.perf_counter() - begin
        print(f"ingest: {done.n_stars:,} stars in {seconds:.0f} s, {done.n_stars / seconds:,.0f}/s")

    found = {name: measure(name, lake) for name in READERS}
    for name, one in found.items():
        ratio = one["best"] / found["viamachinae"]["best"]
        print(
            f"read, {name}: {one['n']:,} stars, first {one['first']:.2f} s, warm "
            f"{one['best']:.2f} s ({ratio:.1f} x ours), {one['cpu']:.2f} s of all cores, peak "
            f"{one['peak']:.0f} MiB"
        )

    few, folder = tables[: given.tables], given.folder
    makers = {
        "viamachinae": lambda: ingest(few, folder / "few", workers=workers),
        "hats-import": lambda: import_hats(few, folder / "few_hats", workers),
    }
    outs = {"viamachinae": folder / "few", "hats-import": folder / "few_hats"}
    seconds = {name: timed(make, outs[name]) for name, make in makers.items()}
    n_rows = ingest(few, folder / "few", workers=workers).n_stars
    for name, spent in seconds.items():
        print(f"make, {name}: {n_rows:,} stars in {spent:.0f} s, {n_rows / spent:,.0f}/s")


if __name__ == "__main__":
    main()
