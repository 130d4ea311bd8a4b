"""Sorted runs: stars on their way into a lake, on disk in order of source_id.

A table of any size is cut into runs that fit into memory, each sorted; the stars of a pixel are
then one slice of each run.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from viamachinae.disk import atomic
from viamachinae.query.pixels import pixels_of, source_id_range


@dataclass(frozen=True)
class SortedTable:
    """The runs of a table, all on disk.

    Attributes
    ----------
    name : str
        Name of the table's file.
    rows : int
        Its stars.
    runs : list of (str, int, int)
        File, first and last source_id of each run.
    pixels : dict
        Stars by pixel; keys are text, as JSON has them.
    """

    name: str
    rows: int
    runs: list[tuple[str, int, int]]
    pixels: dict[str, int]


def read_sorted(path: Path) -> SortedTable | None:
    """What was written of a table; None where its runs are not complete."""
    if not path.is_file():
        return None
    return SortedTable(**json.loads(path.read_text(encoding="utf-8")))


def write_sorted(path: Path, name: str, runs: Iterable[pa.Table], order: int) -> SortedTable:
    """Write the runs of a table beside `path`, and `path` once they are complete.

    Parameters
    ----------
    runs : iterable of pyarrow.Table
        Each sorted by source_id, none empty.
    order : int
        Order of the lake's pixels.
    """
    written: list[tuple[str, int, int]] = []
    pixels = Counter[int]()
    for index, stars in enumerate(runs):
        file = path.with_name(f"{path.stem}.{index}.arrow")
        with atomic(file) as temporary, pa.ipc.new_file(temporary, stars.schema) as sink:
            sink.write_table(stars.combine_chunks())
        ids = stars["source_id"].to_numpy()
        written.append((str(file), int(ids[0]), int(ids[-1])))
        held, rows = np.unique(pixels_of(ids, order), return_counts=True)
        pixels.update(dict(zip(held.tolist(), rows.tolist(), strict=True)))
    by_name = {str(pixel): rows for pixel, rows in sorted(pixels.items())}
    table = SortedTable(name, pixels.total(), written, by_name)
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(asdict(table)))
    return table


def stars_by_pixel(
    files: Iterable[str], schema: pa.Schema, pixels: Iterable[int], order: int
) -> Iterator[tuple[int, pa.Table]]:
    """The stars of each pixel from all runs, unsorted; memory holds one pixel at a time."""
    runs = [_mapped(file) for file in files]
    ids = [run.column("source_id").to_numpy() for run in runs]
    for pixel in pixels:
        first, last = source_id_range(order, pixel)
        parts = [schema.empty_table()]
        for run, numbers in zip(runs, ids, strict=True):
            begin, end = np.searchsorted(numbers, [first, last + 1]).tolist()
            if end > begin:
                parts.append(pa.Table.from_batches([run.slice(begin, end - begin)]))
        yield pixel, pa.concat_tables(parts)


def _mapped(file: str) -> pa.RecordBatch:
    # The map outlives the open file, of which a process may have but a thousand.
    with pa.memory_map(file) as stream:
        return pa.ipc.open_file(stream).get_batch(0)
