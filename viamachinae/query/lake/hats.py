"""A HATS catalogue, of whatever origin: the stars of a disc from the pixels that it touches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet
from numpy.typing import NDArray

from viamachinae.errors import BadInputError, UnprocessableError
from viamachinae.query.catalogue import reading
from viamachinae.query.columns import missing_column
from viamachinae.query.disc import Disc
from viamachinae.query.lake.layout import DATASET, PARTITION_INFO, PROPERTIES, Partition
from viamachinae.query.lake.place import Place
from viamachinae.query.lake.processes import cores
from viamachinae.query.parquet import arrow_values, row_group_span
from viamachinae.query.pixels import Ids, pixels_in_disc, separation_deg

Result = TypeVar("Result")

# A journey is waited for, not worked for.
_REMOTE_THREADS = 16
# Orders below that of a pixel at which its share in a disc is counted.
_FINER = 4


@dataclass(frozen=True)
class HatsCatalogue:
    """An opened HATS catalogue; its partitions may be of several orders.

    Attributes
    ----------
    place : Place
        Where it stands.
    partitions : mapping of int to array of int64
        The pixels that have a file, ascending, by order.
    schema : pyarrow.Schema
        Of every partition, in any order of columns.
    suffix : str
        How the names of partitions end; ``/`` where these are folders of files.
    position : tuple of str
        The names of the columns of right ascension and declination.
    star : str
        The name of the column of Gaia's source_id.
    """

    place: Place
    partitions: Mapping[int, Ids]
    schema: pa.Schema
    suffix: str = ".parquet"
    position: tuple[str, str] = ("ra", "dec")
    star: str = "source_id"

    def touched(self, disc: Disc) -> list[Partition]:
        """The partitions that may hold stars of a disc."""
        return [
            Partition(order, int(pixel))
            for order, held in self.partitions.items()
            for pixel in np.intersect1d(
                held, pixels_in_disc(disc.ra, disc.dec, disc.radius_deg, order)
            )
        ]

    def read_disc(
        self, ra: float, dec: float, radius_deg: float, columns: Sequence[str]
    ) -> pa.Table:
        """The stars within `radius_deg` of (ra, dec), sorted by source_id.

        Row groups whose range of ra and dec lies apart from the disc are not read, nor are
        columns that are not asked for; memory holds the stars of the disc and a few pixels.

        Raises
        ------
        UnprocessableError
            If a file that may hold such stars is damaged or absent: other discs do without it.
        BadInputError
            If a column is missing, or a source_id is there twice.
        """
        disc = Disc(ra, dec, radius_deg)
        wanted = list(dict.fromkeys(columns))
        for name in (*self.position, self.star, *wanted):
            if name not in self.schema.names:
                raise missing_column(self.place.name, name, self.schema.names)
        needed = list(dict.fromkeys([self.star, *self.position, *wanted]))
        parts = self._each(lambda one: self._read(one, disc, needed), self.touched(disc))
        empty = pa.schema([self.schema.field(name) for name in needed]).empty_table()
        stars = pa.concat_tables([empty, *filter(None, parts)], promote_options="permissive")
        return self._sorted(stars).select(wanted)

    def count(self, ra: float, dec: float, radius_deg: float) -> int:
        """Stars in a disc, from the footers of the files and the shares of the pixels in it."""
        disc = Disc(ra, dec, radius_deg)
        touched = self.touched(disc)
        rows = self._each(self._n_rows, touched)
        return round(sum(n * share(one, disc) for one, n in zip(touched, rows, strict=True)))

    def fingerprint(self) -> str:
        """Hash of the catalogue's own description of itself and of the sizes of its files."""
        digest = hashlib.blake2b(digest_size=16)
        for name in (*PROPERTIES, PARTITION_INFO):
            digest.update((self.place.read_text(name) or "").encode())
        digest.update(repr(sorted(self.place.files(DATASET).items())).encode())
        return digest.hexdigest()

    def _files(self, partition: Partition) -> list[str]:
        path = f"{DATASET}/{partition.path(self.suffix)}"
        return sorted(self.place.files(path.rstrip("/"))) if self.suffix == "/" else [path]

    def _n_rows(self, partition: Partition) -> int:
        total = 0
        for path in self._files(partition):
            with reading(self.place.path(path)), self.place.open(path) as stream:
                total += pa.parquet.read_metadata(stream).num_rows
        return total

    def _read(self, partition: Partition, disc: Disc, columns: list[str]) -> pa.Table | None:
        parts = [self._read_file(path, disc, columns) for path in self._files(partition)]
        found = [part for part in parts if part.num_rows]
        return pa.concat_tables(found, promote_options="permissive") if found else None

    def _read_file(self, path: str, disc: Disc, columns: list[str]) -> pa.Table:
        try:
            rows = self._read_row_groups(path, disc, columns)
        except BadInputError as error:
            raise UnprocessableError(str(error)) from error
        # Columns in one order, whatever that of the file.
        rows = rows.select(columns)
        inside = disc.holds(*(_floats(rows[name]) for name in self.position))
        return rows if inside.all() else rows.filter(pa.array(inside))

    def _read_row_groups(self, path: str, disc: Disc, columns: list[str]) -> pa.Table:
        with reading(self.place.path(path)), self.place.open(path) as stream:
            file = pa.parquet.ParquetFile(
                stream, page_checksum_verification=True, pre_buffer=self.place.is_remote
            )
            metadata = file.metadata
            positions = {column.path: index for index, column in enumerate(metadata.schema)}
            groups = [
                index
                for index in range(metadata.num_row_groups)
                if disc.may_meet(
                    *(row_group_span(metadata, positions, index, name) for name in self.position)
                )
            ]
            return file.read_row_groups(
                groups, columns=columns, use_threads=False, use_pandas_metadata=False
            )

    def _sorted(self, stars: pa.Table) -> pa.Table:
        ids = stars[self.star]
        if ids.null_count or not pa.types.is_integer(ids.type):
            raise BadInputError(
                f"{self.place.name} has stars without a whole number in its column '{self.star}'; "
                "take a copy of the catalogue that keeps Gaia's numbers"
            )
        steps = np.diff(ids.to_numpy())
        if np.any(steps < 0):
            stars = stars.take(pa.compute.sort_indices(ids))
            steps = np.diff(stars[self.star].to_numpy())
        if np.any(steps == 0):
            raise BadInputError(
                f"{self.place.name} repeats {np.count_nonzero(steps == 0)} values of its column "
                f"'{self.star}' within one disc; make or copy it again"
            )
        return stars

    def _each(
        self, work: Callable[[Partition], Result], partitions: Iterable[Partition]
    ) -> list[Result]:
        """Do something for each partition, in threads; results in order."""
        n_threads = _REMOTE_THREADS if self.place.is_remote else cores()
        with ThreadPoolExecutor(n_threads) as threads:
            return list(threads.map(work, partitions))


def by_order(partitions: Iterable[Partition]) -> dict[int, Ids]:
    """The pixels, ascending, by order."""
    found: dict[int, list[int]] = {}
    for order, pixel in sorted(partitions):
        found.setdefault(order, []).append(pixel)
    return {order: np.array(pixels, dtype=np.int64) for order, pixels in found.items()}


def share(partition: Partition, disc: Disc) -> float:
    """The share of a pixel's area that lies in a disc, to a few parts in a hundred."""
    order, pixel = partition
    inside = 4**_FINER
    children = pixel * inside + np.arange(inside, dtype=np.int64)
    angles = separation_deg(children, order + _FINER, disc.ra, disc.dec)
    return float(np.mean(angles <= disc.radius_deg))


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    return np.ma.filled(np.ma.asarray(arrow_values(column), dtype=np.float64), np.nan)
