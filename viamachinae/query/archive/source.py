"""An archive as a source of stars: what a patch needs comes once, and stays in the lake."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from astropy.table import Table

from viamachinae.catalog.release import RELEASES
from viamachinae.config import ArchiveQuery, LakeQuery
from viamachinae.disk import remove_leftovers
from viamachinae.errors import ArchiveError, BadInputError
from viamachinae.query.archive.adql import Selection, conditions
from viamachinae.query.archive.download import Download, alone
from viamachinae.query.archive.errors import LostJobError, RefusedError, TransientError
from viamachinae.query.archive.jobs import Jobs
from viamachinae.query.archive.ledger import Ledger
from viamachinae.query.archive.retry import Patience
from viamachinae.query.archive.tap import open_client, service_url
from viamachinae.query.disc import Disc
from viamachinae.query.lake import Lake
from viamachinae.query.lake.hats import share
from viamachinae.query.lake.layout import Partition
from viamachinae.query.lake.place import open_place
from viamachinae.query.lake.source import LakeSource
from viamachinae.query.lake.tables import gaia_schema
from viamachinae.query.pixels import pixels_in_disc, ranges

Result = TypeVar("Result")

_ALWAYS = ("source_id", "ra", "dec")


class ArchiveSource:
    """A TAP archive and the lake that keeps what it sent (a `viamachinae.query.source.Source`).

    Nothing is sent, and nothing written, before stars are asked for or counted.

    Parameters
    ----------
    config : ArchiveQuery
        Which archive, which release, which lake.
    columns : collection of str
        Columns that will be asked for, under this package's names.
    with_values : collection of str
        Those without which a star is of no use; stars without a value there are not sent.

    Attributes
    ----------
    name : str
        Table and URL.

    Raises
    ------
    BadInputError
        If the release has no such column, or the lake was made for other stars.
    """

    def __init__(
        self, config: ArchiveQuery, columns: Collection[str], with_values: Collection[str]
    ) -> None:
        self._config = config
        self._schema = RELEASES[config.release]
        self._table = config.table or self._schema.table
        self._conditions = conditions(self._schema, config.cuts, with_values)
        self._folder = config.lake or Path("lakes") / config.release
        self.name = f"{self._table} at {service_url(config)}"
        self._columns = gaia_schema(config.release, [*_ALWAYS, *columns]).names
        self._ledger = Ledger(self._folder / "archive")
        self._lake = self._open_lake()

    def columns(self) -> frozenset[str]:
        """Names of the columns that it was opened for."""
        return frozenset(self._columns)

    def stars(self, ra: float, dec: float, radius_deg: float, columns: Sequence[str]) -> Table:
        """All stars within `radius_deg` of the ICRS point (`ra`, `dec`), each once.

        Returns
        -------
        astropy.table.Table
            The asked `columns` with units where they have one, sorted by ``source_id`` (int64);
            floats are float64 with NaN where the archive has no value.

        Raises
        ------
        BadInputError
            If the archive refuses the query, or a pixel holds too many stars.
        ArchiveError
            If the archive does not deliver; what it has delivered is in the lake.
        """
        pixels = self._pixels(ra, dec, radius_deg)
        if not set(pixels) <= self._present():
            self._with_archive(pixels, lambda download: download.complete(pixels))
        lake = LakeQuery(source="lake", path=str(self._folder), release=self._config.release)
        return LakeSource(lake).stars(ra, dec, radius_deg, columns)

    def count(self, ra: float, dec: float, radius_deg: float) -> int:
        """Stars in the disc: the archive's count of each pixel times its share in the disc.

        Raises
        ------
        ArchiveError
            If the archive does not count.
        """
        disc, pixels = Disc(ra, dec, radius_deg), self._pixels(ra, dec, radius_deg)
        counts = {pixel: n for pixel, n in self._ledger.counts().items() if pixel in pixels}
        if len(counts) < len(pixels):
            counts = self._with_archive(pixels, lambda download: download.count(pixels))
        shares = {pixel: share(Partition(self._order, pixel), disc) for pixel in pixels}
        return round(sum(counts[pixel] * shares[pixel] for pixel in pixels))

    def fingerprint(self) -> str:
        """Hash of what is asked of the archive; the stars of a release do not change."""
        asked = [self._config.release, self._table, self._columns, self._conditions]
        return hashlib.blake2b(json.dumps(asked).encode(), digest_size=16).hexdigest()

    def queries(self, discs: Iterable[Disc]) -> list[list[str]]:
        """The ADQL that `stars` would send for each of some discs, one after the other.

        Nothing is sent. A chunk whose stars were never counted is shown whole; it is divided
        where it holds more than ``row_limit``.
        """
        held, counts = self._present(), self._ledger.counts()
        found = []
        for disc in discs:
            absent = sorted(set(self._pixels(disc.ra, disc.dec, disc.radius_deg)) - held)
            uncounted = ranges(set(absent) - counts.keys(), self._order)
            begun, new = self._ledger.due(absent, counts, self._config.row_limit)
            texts = [self._selection.counts(uncounted, self._order)] if uncounted else []
            for chunk in (*begun, *new):
                (ids,) = ranges(chunk.pixels(), self._order)
                texts.append(self._selection.stars(*ids))
                held |= set(chunk.pixels())
            found.append(texts)
        return found

    def _with_archive(self, pixels: Collection[int], work: Callable[[Download], Result]) -> Result:
        """Do some work of a download, alone; its failures become sentences."""
        config = self._config
        patience = Patience(config.tries, config.pause_s)
        try:
            with alone(self._folder):
                remove_leftovers(self._folder)
                self._lake = lake = self._open_or_make_lake()
                client = patience.persist(lambda: open_client(config), TransientError)
                jobs = Jobs(client, self._ledger.folder / "jobs", patience, config.job_timeout_s)
                limits = config.row_limit, config.jobs_at_once
                return work(Download(lake, self._selection, jobs, self._ledger, patience, *limits))
        except RefusedError as error:
            raise BadInputError(
                f"{self.name} refuses the query ({error}); check query.endpoint, query.table and "
                "the credentials"
            ) from error
        except (ArchiveError, TransientError, LostJobError) as error:
            n_held = len(set(pixels) & self._present())
            raise ArchiveError(
                f"{self.name}: {error}; {n_held} of the {len(pixels)} pixels asked for are on disk "
                f"in {self._folder}, and the next run asks for the others alone"
            ) from error

    # --- the lake -----------------------------------------------------------------------------

    def _pixels(self, ra: float, dec: float, radius_deg: float) -> list[int]:
        return [int(pixel) for pixel in pixels_in_disc(ra, dec, radius_deg, self._order)]

    def _present(self) -> set[int]:
        return self._lake.present() if self._lake is not None else set()

    @property
    def _order(self) -> int:
        return self._lake.order if self._lake is not None else self._config.order

    @property
    def _selection(self) -> Selection:
        """What pixels are asked with: all columns that the lake keeps."""
        names = self._lake.schema.names if self._lake is not None else self._columns
        return Selection(self._schema, self._table, tuple(names), self._conditions)

    def _open_lake(self) -> Lake | None:
        """The lake of an earlier run, if any; it must hold the stars that are asked for now."""
        if not Lake.is_at(open_place(self._folder)):
            return None
        lake = Lake.open(self._folder)
        lacking = sorted(set(self._columns) - set(lake.schema.names))
        made_for = lake.provenance.get("conditions"), lake.release, lake.provenance.get("table")
        if lacking or made_for != (list(self._conditions), self._config.release, self._table):
            what = f"without the column {lacking[0]}" if lacking else "of other stars"
            raise BadInputError(
                f"{self._folder} is a lake {what}; name another folder with query.lake, or ask for "
                "the release, table, cuts and columns that it was made for"
            )
        return lake

    def _open_or_make_lake(self) -> Lake:
        provenance = {
            "archive": service_url(self._config),
            "table": self._table,
            "conditions": list(self._conditions),
        }
        columns = gaia_schema(self._config.release, self._columns)
        return self._open_lake() or Lake.create(
            self._folder, self._config.release, self._config.order, columns, provenance
        )
