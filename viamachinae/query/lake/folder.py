"""The lake that this package writes: every pixel once, whole or absent, each with its record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from viamachinae.disk import atomic
from viamachinae.errors import BadInputError, UnprocessableError
from viamachinae.query.catalogue import reading
from viamachinae.query.disc import Disc
from viamachinae.query.lake.hats import HatsCatalogue, by_order, share
from viamachinae.query.lake.layout import DATASET, Partition
from viamachinae.query.lake.metadata import FORMAT_VERSION, hats_properties, write_metadata
from viamachinae.query.lake.place import Place, open_place
from viamachinae.query.lake.records import (
    PixelRecord,
    read_record,
    read_records,
    recorded,
    write_record,
)
from viamachinae.query.lake.tables import as_kept, check_pixel, field_of, to_parquet, unit_of
from viamachinae.query.pixels import pixels_in_disc

DEFAULT_ORDER = 5
_DESCRIPTION = "lake.json"


class Lake:
    """A HATS catalogue in a folder, growing pixel by pixel; `create` or `open` it.

    Attributes
    ----------
    name : str
        Its path.
    release : str
        The Gaia release whose columns it holds.
    order : int
        HEALPix order of all its pixels.
    schema : pyarrow.Schema
        Columns, with units in the metadata of the fields.
    provenance : mapping
        As its maker gave it.
    """

    def __init__(self, place: Place, description: Mapping[str, Any]) -> None:
        self.name = place.name
        self.release: str = description["release"]
        self.order: int = description["order"]
        self.schema = pa.schema(
            [
                field_of(name, pa.type_for_alias(kind), unit)
                for name, kind, unit in description["columns"]
            ]
        )
        self.provenance: Mapping[str, Any] = description["provenance"]
        self._place = place
        # Records read before: a pixel that is whole stays so.
        self._known: dict[int, PixelRecord] = {}

    @classmethod
    def create(
        cls,
        folder: Path,
        release: str,
        order: int,
        schema: pa.Schema,
        provenance: Mapping[str, Any],
    ) -> Lake:
        """Make a lake, or open the one that is there already.

        Parameters
        ----------
        folder : Path
            Empty or absent, or a lake with the same release, order and columns.
        schema : pyarrow.Schema
            As `viamachinae.query.lake.tables.gaia_schema` gives it.
        provenance : mapping
            What JSON can hold; a lake keeps what its first maker gave.

        Raises
        ------
        BadInputError
            If the folder holds anything else.
        """
        # Listed before looked at: another process may be making the same lake.
        is_empty = not folder.exists() or (folder.is_dir() and not _finished(folder))
        if (folder / _DESCRIPTION).is_file():
            lake = cls.open(folder)
            if (lake.release, lake.order, lake.schema) != (release, order, schema):
                raise BadInputError(
                    f"{folder} is a lake of {lake.release} at order {lake.order} with columns "
                    f"{', '.join(lake.schema.names)}, which is not what is asked for; ask for "
                    "these, or name another folder"
                )
            return lake
        if not is_empty:
            raise BadInputError(f"{folder} is no lake and not empty; name another folder")
        description = {
            "version": FORMAT_VERSION,
            "release": release,
            "order": order,
            "columns": [[field.name, str(field.type), unit_of(field)] for field in schema],
            "provenance": dict(provenance),
        }
        with atomic(folder / _DESCRIPTION) as temporary:
            temporary.write_text(json.dumps(description, indent=1))
        return cls(open_place(folder), description)

    @classmethod
    def open(cls, folder: Path | str) -> Lake:
        """Open a lake by its path or URL.

        Raises
        ------
        BadInputError
            If there is none, or one of another version.
        """
        place = open_place(folder)
        text = place.read_text(_DESCRIPTION)
        if text is None:
            raise BadInputError(
                f"{folder} is no lake of viamachinae (no file {_DESCRIPTION}); correct the path, "
                "or make one with `viamachinae ingest`"
            )
        with reading(place.path(_DESCRIPTION)):
            description = json.loads(text)
            version = description["version"]
            if version != FORMAT_VERSION:
                raise BadInputError(
                    f"{folder} is a lake of format {version}, and this version of viamachinae "
                    f"reads format {FORMAT_VERSION}; install the version that made it"
                )
            return cls(place, description)

    @staticmethod
    def is_at(place: Place) -> bool:
        """Whether a folder is a lake of this package."""
        return place.read_text(_DESCRIPTION) is not None

    def present(self) -> set[int]:
        """The pixels that are whole on disk, empty ones included."""
        return set(recorded(self._place))

    def record(self, pixel: int) -> PixelRecord | None:
        """What is known of a pixel; None where it is not whole on disk."""
        return read_record(self._place, pixel)

    def write_pixel(self, pixel: int, stars: pa.Table, provenance: Mapping[str, Any]) -> int:
        """Put all stars of a pixel into the lake, and then their record.

        Safe from several processes: the same stars leave the same bytes. A pixel that is
        already there stays as it is.

        Parameters
        ----------
        stars : pyarrow.Table
            With the columns of the lake, in any order; no row for an empty pixel.
        provenance : mapping
            What JSON can hold.

        Returns
        -------
        int
            Number of stars.

        Raises
        ------
        BadInputError
            If the stars do not fit the lake or the pixel, or differ from those that are there.
        """
        where = f"pixel {pixel} (order {self.order}) of {self.name}"
        kept = as_kept(stars, self.schema, where)
        check_pixel(kept, self.order, pixel, where)
        content = to_parquet(kept) if kept.num_rows else b""
        digest = hashlib.blake2b(content, digest_size=16).hexdigest()
        record = PixelRecord(kept.num_rows, len(content), digest, dict(provenance))
        old = self.record(pixel)
        if old is not None and old.hash != record.hash:
            raise BadInputError(
                f"{where} already holds {old.rows} stars that differ from the {record.rows} given "
                "now; remove the lake, or name another folder"
            )
        root = Path(self._place.root)
        path = root / DATASET / Partition(self.order, pixel).path()
        if kept.num_rows and not (path.is_file() and path.stat().st_size == record.bytes):
            with atomic(path) as temporary:
                temporary.write_bytes(content)
        if old is None:
            write_record(root, pixel, record)
        return record.rows

    def finish(self) -> int:
        """Write the files by which HATS readers know the catalogue; returns its stars.

        They tell of all pixels that are present, and are the same bytes for the same pixels.
        """
        records = read_records(self._place, recorded(self._place))
        full = [Partition(self.order, pixel) for pixel, one in records.items() if one.rows]
        properties = hats_properties(self.release, self.order, list(records.values()))
        properties["prov_progenitor"] = json.dumps(self.provenance, sort_keys=True)
        write_metadata(Path(self._place.root), self.schema, full, properties)
        return sum(one.rows for one in records.values())

    def read_disc(
        self, ra: float, dec: float, radius_deg: float, columns: Sequence[str]
    ) -> pa.Table:
        """The stars within `radius_deg` of (ra, dec) (deg, ICRS), sorted by source_id.

        Raises
        ------
        UnprocessableError
            If the lake lacks a pixel that may hold such stars, or its file is damaged.
        BadInputError
            If it lacks a column.
        """
        records, missing = self._touched(Disc(ra, dec, radius_deg))
        if missing:
            raise UnprocessableError(missing)
        full = (Partition(self.order, pixel) for pixel, record in records.items() if record.rows)
        catalogue = HatsCatalogue(self._place, by_order(full), self.schema)
        return catalogue.read_disc(ra, dec, radius_deg, columns)

    def count(self, ra: float, dec: float, radius_deg: float) -> int:
        """Stars in a disc: those of its pixels, by the share of each that lies in it.

        Raises
        ------
        BadInputError
            If the lake lacks a pixel that may hold such stars.
        """
        disc = Disc(ra, dec, radius_deg)
        records, missing = self._touched(disc)
        if missing:
            raise BadInputError(missing)
        rows = (one.rows * share(Partition(self.order, p), disc) for p, one in records.items())
        return round(sum(rows))

    def fingerprint(self) -> str:
        """Hash of the release, the columns and all stars, from the records."""
        digest = hashlib.blake2b(f"{self.release} {self.order}".encode(), digest_size=16)
        digest.update(
            str([(one.name, str(one.type), unit_of(one)) for one in self.schema]).encode()
        )
        for pixel, record in read_records(self._place, recorded(self._place)).items():
            digest.update(f"{pixel} {record.hash}\n".encode())
        return digest.hexdigest()

    def _touched(self, disc: Disc) -> tuple[dict[int, PixelRecord], str]:
        """The records of the pixels of a disc, and a sentence if some are missing."""
        pixels = pixels_in_disc(disc.ra, disc.dec, disc.radius_deg, self.order).tolist()
        self._known.update(read_records(self._place, set(pixels) - set(self._known)))
        missing = [pixel for pixel in pixels if pixel not in self._known]
        sentence = (
            f"{self.name} lacks {len(missing)} of the {len(pixels)} pixels within "
            f"{disc.radius_deg:g} deg of ra {disc.ra:g}, dec {disc.dec:g} (order {self.order}, "
            f"first {missing[0]}); add them with `viamachinae ingest` or query.source: archive"
            if missing
            else ""
        )
        return {pixel: self._known[pixel] for pixel in pixels if pixel in self._known}, sentence


def _finished(folder: Path) -> list[Path]:
    """What a folder holds, but for descriptions that a writer has not ended or was killed at."""
    return [one for one in folder.iterdir() if not one.name.startswith(f".{_DESCRIPTION}.")]
