"""The lake that this package writes: every pixel once, whole or absent, each with its record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from viamachinae.disk import atomic
from viamachinae.errors import BadInputError
from viamachinae.query.catalogue import reading
from viamachinae.query.disc import Disc
from viamachinae.query.lake.hats import HatsCatalogue, by_order, share
from viamachinae.query.lake.layout import (
    COMMON_METADATA,
    DATASET,
    METADATA,
    PARTITION_INFO,
    PROPERTIES,
    Partition,
    partition_info_text,
    partition_of,
    properties_text,
)
from viamachinae.query.lake.place import Place, open_place
from viamachinae.query.lake.tables import as_kept, check_pixel, to_parquet
from viamachinae.query.pixels import pixels_in_disc

# Raised whenever a lake is no longer written, or read, as before.
FORMAT_VERSION = 1
DEFAULT_ORDER = 5
_DESCRIPTION = "lake.json"
_RECORDS = "records"


@dataclass(frozen=True)
class PixelRecord:
    """What a lake knows of a pixel that is whole on disk.

    Attributes
    ----------
    rows, bytes : int
        Stars, and size of their file; both 0 for an empty pixel, which has no file.
    hash : str
        BLAKE2b of the file, 32 hex digits.
    provenance : mapping
        Whence the stars came.
    """

    rows: int
    bytes: int
    hash: str
    provenance: Mapping[str, Any]


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
    """

    def __init__(self, place: Place, description: Mapping[str, Any]) -> None:
        self.name = place.name
        self.release: str = description["release"]
        self.order: int = description["order"]
        self.schema = pa.schema(
            [
                pa.field(name, pa.type_for_alias(kind), metadata={"unit": unit} if unit else None)
                for name, kind, unit in description["columns"]
            ]
        )
        self.provenance: Mapping[str, Any] = description["provenance"]
        self._place = place

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
            What JSON can hold; kept in the lake as its maker first gave it.

        Raises
        ------
        BadInputError
            If the folder holds anything else.
        """
        columns = [[f.name, str(f.type), _unit(f)] for f in schema]
        description = {"version": FORMAT_VERSION, "release": release, "order": order}
        description |= {"columns": columns, "provenance": dict(provenance)}
        if (folder / _DESCRIPTION).is_file():
            lake = cls.open(folder)
            if (lake.release, lake.order, lake.schema) != (release, order, schema):
                raise BadInputError(
                    f"{folder} is a lake of {lake.release} at order {lake.order} with columns "
                    f"{', '.join(lake.schema.names)}, which is not what is asked for; ask for "
                    "these, or name another folder"
                )
            return lake
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise BadInputError(f"{folder} is no lake and not empty; name another folder")
        _write(folder / _DESCRIPTION, json.dumps(description, indent=1).encode())
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

    # --- what is there ---------------------------------------------------------------------

    def present(self) -> set[int]:
        """The pixels that are whole on disk, empty ones included."""
        return set(self._recorded)

    def record(self, pixel: int) -> PixelRecord | None:
        """The record of a pixel; None where it is not whole on disk."""
        path = f"{_RECORDS}/{Partition(self.order, pixel).path('.json')}"
        text = self._place.read_text(path)
        if text is None:
            return None
        with reading(self._place.path(path)):
            return PixelRecord(**json.loads(text))

    @property
    def _recorded(self) -> list[int]:
        found = map(partition_of, self._place.files(_RECORDS))
        return sorted(one.pixel for one in found if one is not None)

    def _records(self, pixels: Iterable[int]) -> dict[int, PixelRecord]:
        with ThreadPoolExecutor(8 if self._place.is_remote else 1) as threads:
            wanted = sorted(pixels)
            found = zip(wanted, threads.map(self.record, wanted), strict=True)
            return {pixel: record for pixel, record in found if record is not None}

    # --- writing ---------------------------------------------------------------------------

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
        record = PixelRecord(
            rows=kept.num_rows,
            bytes=len(content),
            hash=hashlib.blake2b(content, digest_size=16).hexdigest(),
            provenance=dict(provenance),
        )
        old = self.record(pixel)
        if old is not None and old.hash != record.hash:
            raise BadInputError(
                f"{where} already holds {old.rows} stars that differ from the {record.rows} given "
                "now; remove the lake, or name another folder"
            )
        path = self._path(DATASET, pixel, ".parquet")
        if kept.num_rows and not (path.is_file() and path.stat().st_size == record.bytes):
            _write(path, content)
        if old is None:
            text = json.dumps(asdict(record), indent=1)
            _write(self._path(_RECORDS, pixel, ".json"), text.encode())
        return record.rows

    def finish(self) -> int:
        """Write the files by which HATS readers know the catalogue; returns its stars.

        They tell of all pixels that are present, and are the same bytes for the same pixels.
        """
        records = self._records(self._recorded)
        full = [pixel for pixel, record in records.items() if record.rows]
        partitions = [Partition(self.order, pixel) for pixel in full]
        root, footers = Path(self._place.root), []
        for one in partitions:
            with reading(root / DATASET / one.path()):
                footer = pa.parquet.read_metadata(root / DATASET / one.path())
            footer.set_file_path(one.path())
            footers.append(footer)
        n_rows = sum(record.rows for record in records.values())
        with atomic(root / COMMON_METADATA) as temporary:
            pa.parquet.write_metadata(self.schema, temporary)
        with atomic(root / METADATA) as temporary:
            pa.parquet.write_metadata(self.schema, temporary, metadata_collector=footers)
        _write(root / PARTITION_INFO, partition_info_text(partitions).encode())
        for name in PROPERTIES:
            _write(root / name, properties_text(self._properties(n_rows, records)).encode())
        return n_rows

    def _properties(self, n_rows: int, records: Mapping[int, PixelRecord]) -> dict[str, str]:
        size = sum(record.bytes for record in records.values())
        return {
            "obs_collection": f"viamachinae_{self.release}",
            "dataproduct_type": "object",
            "hats_nrows": str(n_rows),
            "hats_col_ra": "ra",
            "hats_col_dec": "dec",
            "hats_npix_suffix": ".parquet",
            "hats_order": str(self.order),
            "hats_max_rows": str(max((one.rows for one in records.values()), default=0)),
            "hats_estsize": str(size // 1024),
            "hats_builder": f"viamachinae lake format {FORMAT_VERSION}",
            "hats_version": "v1.0",
            "obs_regime": "Optical",
            "obs_ack": "ESA/Gaia/DPAC",
            "prov_progenitor": json.dumps(self.provenance, sort_keys=True),
        }

    def _path(self, folder: str, pixel: int, suffix: str) -> Path:
        return Path(self._place.root) / folder / Partition(self.order, pixel).path(suffix)

    # --- reading ---------------------------------------------------------------------------

    def read_disc(
        self, ra: float, dec: float, radius_deg: float, columns: Sequence[str]
    ) -> pa.Table:
        """The stars within `radius_deg` of (ra, dec) (deg, ICRS), sorted by source_id.

        Raises
        ------
        BadInputError
            If a pixel that may hold such stars, or a column, is not in the lake, or a file is
            damaged.
        """
        records = self._touched(Disc(ra, dec, radius_deg))
        return self._catalogue(records).read_disc(ra, dec, radius_deg, columns)

    def count(self, disc: Disc) -> int:
        """Stars in a disc: those of the pixels, by the share of each that lies in it."""
        touched = self._touched(disc).items()
        return round(sum(r.rows * share(Partition(self.order, p), disc) for p, r in touched))

    def fingerprint(self) -> str:
        """Hash of the release, the columns and all stars, from the records."""
        digest = hashlib.blake2b(f"{self.release} {self.order}".encode(), digest_size=16)
        digest.update(str([(f.name, str(f.type), _unit(f)) for f in self.schema]).encode())
        for pixel, record in self._records(self._recorded).items():
            digest.update(f"{pixel} {record.hash}\n".encode())
        return digest.hexdigest()

    @cached_property
    def _known(self) -> dict[int, PixelRecord]:
        """Records read before: a pixel that is whole stays so."""
        return {}

    def _touched(self, disc: Disc) -> dict[int, PixelRecord]:
        """The records of the pixels of a disc."""
        pixels = pixels_in_disc(disc.ra, disc.dec, disc.radius_deg, self.order).tolist()
        self._known.update(self._records(set(pixels) - set(self._known)))
        missing = [pixel for pixel in pixels if pixel not in self._known]
        if missing:
            raise BadInputError(
                f"{self.name} lacks {len(missing)} of the {len(pixels)} pixels within "
                f"{disc.radius_deg:g} deg of ra {disc.ra:g}, dec {disc.dec:g} (order {self.order}, "
                f"the first is {missing[0]}); add them with `viamachinae ingest` or "
                "query.source: archive"
            )
        return {pixel: self._known[pixel] for pixel in pixels}

    def _catalogue(self, records: Mapping[int, PixelRecord]) -> HatsCatalogue:
        full = (Partition(self.order, pixel) for pixel, record in records.items() if record.rows)
        return HatsCatalogue(self._place, by_order(full), self.schema)


def _write(path: Path, content: bytes | pa.Buffer) -> None:
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def _unit(field: pa.Field) -> str:
    return str((field.metadata or {}).get(b"unit", b"").decode())
