"""The pixels that a lake lacks, from the archive: counted, asked for in chunks, checked, kept."""

from __future__ import annotations

import fcntl
import logging
import threading
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from viamachinae.errors import ArchiveError
from viamachinae.query.archive.adql import Selection
from viamachinae.query.archive.chunks import Chunk
from viamachinae.query.archive.jobs import Jobs
from viamachinae.query.archive.ledger import Ledger
from viamachinae.query.archive.retry import Patience
from viamachinae.query.archive.votable import Answer
from viamachinae.query.lake import Lake
from viamachinae.query.pixels import Ids, pixels_of, ranges, source_id_range

logger = logging.getLogger("viamachinae.query")


@dataclass(frozen=True)
class Download:
    """What brings pixels into a lake; one at a time may be at work on a lake (`alone`).

    Attributes
    ----------
    lake : Lake
        Grows.
    selection : Selection
        Its columns and the conditions on its stars.
    jobs : Jobs
        Asks the archive.
    ledger : Ledger
        What was asked before.
    patience : Patience
        That of `jobs`.
    row_limit, jobs_at_once : int
        As configured.
    """

    lake: Lake
    selection: Selection
    jobs: Jobs
    ledger: Ledger
    patience: Patience
    row_limit: int
    jobs_at_once: int
    _ledger_lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, pixels: Collection[int]) -> dict[int, int]:
        """Stars in each pixel, as the archive counts them; no pixel is counted twice."""
        counts = self.ledger.counts()
        unknown = sorted(set(pixels) - counts.keys())
        if unknown:
            order = self.lake.order
            query = self.selection.counts(ranges(unknown, order), order)
            found = _counted(self.jobs.answer(query, len(unknown) + 1), set(unknown))
            counts |= dict.fromkeys(unknown, 0) | found
            self.ledger.keep_counts(counts)
            self.jobs.forget(query)
        return {pixel: counts[pixel] for pixel in pixels}

    def complete(self, pixels: Collection[int]) -> None:
        """Bring all of `pixels` into the lake.

        Raises
        ------
        ArchiveError
            If an answer does not hold the stars that were counted.
        """
        absent = set(pixels) - self.lake.present()
        if not absent:
            return
        begun, new = self.ledger.due(absent, self.count(absent), self.row_limit)
        if new:
            self.ledger.keep_chunks({*self.ledger.chunks(), *new})
        self._fetch_all([*begun, *new])
        self.lake.finish()

    def _fetch_all(self, chunks: list[Chunk]) -> None:
        with ThreadPoolExecutor(self.jobs_at_once) as threads:
            running = [threads.submit(self._fetch, chunk) for chunk in chunks]
            try:
                for done, future in enumerate(as_completed(running), start=1):
                    future.result()
                    logger.info("%s: %d of %d chunks", self.lake.name, done, len(chunks))
            except BaseException:
                # Jobs that run at the archive are written down, and a rerun takes them up.
                threads.shutdown(wait=False, cancel_futures=True)
                self.patience.stop()
                raise

    def _fetch(self, chunk: Chunk) -> None:
        """Ask for a chunk, check it, and put each of its pixels into the lake."""
        query = self._query(chunk.first, chunk.last)
        answer = self.jobs.answer(query, chunk.n_stars + 1)
        stars = answer.table
        if answer.is_cut or stars.num_rows != chunk.n_stars:
            self.jobs.forget(query)
            with self._ledger_lock:
                self.ledger.strike(self.ledger.counts().keys() - self.lake.present())
            raise ArchiveError(
                f"it sent {stars.num_rows} stars of the {chunk.n_stars} that it counts in pixels "
                f"{chunk.first} to {chunk.last}{_overflow(answer)}; if it sends no more than that "
                "at once, set query.row_limit"
            )
        of_pixel = pixels_of(_ids(stars), self.lake.order)
        for pixel in chunk.pixels():
            # The query that gives this pixel alone: the same whatever chunk it came in.
            provenance = {"query": self._query(pixel, pixel)}
            self.lake.write_pixel(pixel, stars.filter(pa.array(of_pixel == pixel)), provenance)
        self.jobs.forget(query)

    def _query(self, first: int, last: int) -> str:
        ids = [source_id_range(self.lake.order, pixel) for pixel in (first, last)]
        return self.selection.stars(ids[0][0], ids[1][1])


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until no other process of this machine brings pixels into the lake of a folder."""
    path = folder.with_name(f".{folder.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _counted(answer: Answer, asked: set[int]) -> dict[int, int]:
    """Stars by pixel from the answer to a count."""
    table = answer.table
    whole = all(pa.types.is_integer(kind) for kind in table.schema.types)
    if table.column_names != ["pixel", "n_stars"] or not whole or answer.is_cut:
        raise ArchiveError(
            "it does not count stars by pixel as asked; is its source_id a whole number, and does "
            "it divide whole numbers to whole numbers?"
        )
    counts = dict(zip(table["pixel"].to_pylist(), table["n_stars"].to_pylist(), strict=True))
    if not asked.issuperset(counts):
        raise ArchiveError("it counts stars in pixels that were not asked for")
    return counts


def _ids(stars: pa.Table) -> Ids:
    if "source_id" not in stars.column_names or not pa.types.is_integer(stars["source_id"].type):
        raise ArchiveError("it sends no whole numbers as source_id")
    ids: Ids = stars["source_id"].to_numpy().astype(np.int64)
    return ids


def _overflow(answer: Answer) -> str:
    return ", and says that it left some out" if answer.is_cut else ""
