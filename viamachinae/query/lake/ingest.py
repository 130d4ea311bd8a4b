"""Make a lake from tables: sort each table into runs, then write pixel by pixel."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute

from viamachinae.catalog.release import RELEASES
from viamachinae.disk import remove_leftovers
from viamachinae.errors import BadInputError
from viamachinae.query.lake.folder import DEFAULT_ORDER, Lake
from viamachinae.query.lake.inputs import InputTable, check_columns, lake_schema, open_table
from viamachinae.query.lake.processes import cores, side_by_side
from viamachinae.query.lake.runs import SortedTable, read_sorted, stars_by_pixel, write_sorted
from viamachinae.query.lake.tables import as_kept, check_rows, check_unique
from viamachinae.query.pixels import source_id_range

# Tells what is done (a word), how much of it, and of how much.
Watcher = Callable[[str, int, int], None]

# Stars are sorted in runs of about this size; a worker holds a few times as much.
_RUN_BYTES = 1 << 27
# Pixels that a worker writes between two words to its parent.
_PIXELS_AT_ONCE = 16
_SPILL = ".ingest"


@dataclass(frozen=True)
class Ingested:
    """What went into a lake: tables, stars, and pixels with or without stars."""

    n_tables: int
    n_stars: int
    n_pixels: int


def ingest(
    tables: Sequence[Path],
    out: Path,
    *,
    columns: Mapping[str, str] | None = None,
    release: str = "gaia_dr3",
    order: int = DEFAULT_ORDER,
    whole_sky: bool = False,
    workers: int | None = None,
    watch: Watcher = lambda *_: None,
) -> Ingested:
    """Make a lake of all stars of some tables, or bring one to its end that was cut short.

    What an interrupted call wrote is used, and the lake is the same, byte for byte, as without
    the interruption. Sorted stars stand in the lake's folder meanwhile: they take about the room
    of the chosen columns without compression.

    Parameters
    ----------
    tables : sequence of Path
        The archive's ``GaiaSource_*.csv.gz``, or Parquet, FITS, ECSV, VOTable or CSV. A pixel
        counts as whole once they are in, so give all that hold stars of the region at once.
    out : Path
        Folder of the lake.
    columns : mapping, optional
        Columns to keep, to their names in the tables; by default those of the release's schema
        that the first table has.
    order : int
        HEALPix order of the lake's pixels, 0 to 12.
    whole_sky : bool
        Whether pixels without a star are empty, and not missing.
    workers : int, optional
        Processes; one a core by default.

    Raises
    ------
    BadInputError
        If a table cannot be read or lacks a column, a star is there twice, a source_id is not
        Gaia's, or the folder holds other stars.
    """
    if not tables or len({table.resolve() for table in tables}) < len(tables):
        raise BadInputError("ingest takes at least one table, and none of them twice")
    if release not in RELEASES:
        raise BadInputError(f"--release {release}: must be one of {', '.join(RELEASES)}")
    schema, own = lake_schema(open_table(tables[0]), columns, release)
    lake = Lake.create(out, release, order, schema, {"made_by": "viamachinae ingest"})
    remove_leftovers(out)
    meaning = json.dumps([own, release, order, lake.schema.to_string()])
    spill = out / _SPILL / hashlib.blake2b(meaning.encode(), digest_size=8).hexdigest()
    workers = workers or cores()

    sort = partial(_sort_table, spill=spill, own=own, lake=lake)
    n_bytes = [table.stat().st_size for table in tables]
    tell = partial(watch, "sorting tables")
    sorted_tables = side_by_side(sort, tables, n_bytes, workers, tell)

    due = Counter[int]()
    for table in sorted_tables:
        due.update({int(pixel): rows for pixel, rows in table.pixels.items()})
    if not due:
        raise BadInputError(
            f"{tables[0]} and the tables after it hold no stars; give one that does"
        )
    pixels = list(range(12 * 4**order)) if whole_sky else sorted(due)
    groups = [
        pixels[begin : begin + _PIXELS_AT_ONCE] for begin in range(0, len(pixels), _PIXELS_AT_ONCE)
    ]
    jobs = [_job(group, sorted_tables, order) for group in groups]
    n_stars = [sum(due[pixel] for pixel in group) for group in groups]
    tell = partial(watch, "writing pixels")
    written = side_by_side(partial(_write_pixels, lake=lake), jobs, n_stars, workers, tell)
    if written != n_stars:
        raise BadInputError(
            f"{out} got {sum(written)} of the {sum(n_stars)} stars in the tables; remove "
            f"{out / _SPILL} and run ingest again"
        )
    lake.finish()
    shutil.rmtree(out / _SPILL)
    return Ingested(len(tables), sum(written), len(pixels))


# --- one table, one group of pixels ---------------------------------------------------------


def _sort_table(path: Path, *, spill: Path, own: Mapping[str, str], lake: Lake) -> SortedTable:
    """Write the sorted runs of a table, unless an earlier call did."""
    found = path.stat()
    identity = f"{path.resolve()} {found.st_size} {found.st_mtime_ns}"
    record = spill / f"{hashlib.blake2b(identity.encode(), digest_size=8).hexdigest()}.json"
    done = read_sorted(record)
    if done is not None:
        return done
    table = open_table(path)
    runs = _runs(table, own, lake)
    return write_sorted(record, path.name, runs, lake.order)


def _runs(table: InputTable, own: Mapping[str, str], lake: Lake) -> Iterator[pa.Table]:
    factors = check_columns(table, own, lake.release)
    held: list[pa.Table] = []
    for batch in table.batches(own, lake.schema):
        held.append(_in_gaia_units(batch, factors))
        if sum(part.nbytes for part in held) >= _RUN_BYTES:
            yield _run(held, lake.schema, str(table.path))
            held = []
    if any(part.num_rows for part in held):
        yield _run(held, lake.schema, str(table.path))


def _run(parts: list[pa.Table], schema: pa.Schema, name: str) -> pa.Table:
    stars = as_kept(pa.concat_tables(parts, promote_options="permissive"), schema, name)
    check_rows(stars, name)
    return stars


def _in_gaia_units(stars: pa.Table, factors: Mapping[str, float]) -> pa.Table:
    for index, name in enumerate(stars.column_names):
        if factors[name] != 1.0:
            scaled = pa.compute.multiply(stars[name], factors[name])
            stars = stars.set_column(index, name, scaled)
    return stars


@dataclass(frozen=True)
class _Job:
    """Neighbouring pixels, the runs that may hold stars of them, and stars by table and pixel."""

    pixels: list[int]
    runs: list[str]
    rows: dict[int, dict[str, int]]


def _job(pixels: list[int], tables: Sequence[SortedTable], order: int) -> _Job:
    low, high = source_id_range(order, pixels[0])[0], source_id_range(order, pixels[-1])[1]
    runs = [
        file
        for table in tables
        for file, first, last in table.runs
        if first <= high and last >= low
    ]
    rows: dict[int, Counter[str]] = {pixel: Counter() for pixel in pixels}
    for table in tables:
        for pixel in pixels:
            if str(pixel) in table.pixels:
                rows[pixel][table.name] += table.pixels[str(pixel)]
    return _Job(pixels, runs, {pixel: dict(sorted(found.items())) for pixel, found in rows.items()})


def _write_pixels(job: _Job, *, lake: Lake) -> int:
    """Write a group of pixels; returns its stars."""
    written = 0
    for pixel, stars in stars_by_pixel(job.runs, lake.schema, job.pixels, lake.order):
        if stars.num_rows != sum(job.rows[pixel].values()):
            raise BadInputError(
                f"{lake.name} has {stars.num_rows} sorted stars for pixel {pixel} where the tables "
                f"hold {sum(job.rows[pixel].values())}; remove its folder {_SPILL} and run ingest "
                "again"
            )
        check_unique(np.sort(stars["source_id"].to_numpy()), " with ".join(job.rows[pixel]))
        written += lake.write_pixel(pixel, stars, {"tables": job.rows[pixel]})
    return written
