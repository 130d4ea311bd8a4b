"""What a lake knows of its pixels: one record each, written once their stars are whole on disk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from viamachinae.disk import atomic
from viamachinae.query.catalogue import reading
from viamachinae.query.lake.place import Place

_FOLDER = "records"
_REMOTE_THREADS = 16


@dataclass(frozen=True)
class PixelRecord:
    """A pixel that is whole on disk.

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


def recorded(place: Place) -> list[int]:
    """The pixels that have a record, ascending."""
    names = (Path(path) for path in place.files(_FOLDER))
    return sorted(int(name.stem) for name in names if name.suffix == ".json")


def read_record(place: Place, pixel: int) -> PixelRecord | None:
    """The record of a pixel; None where it has none.

    Raises
    ------
    BadInputError
        If it is damaged.
    """
    text = place.read_text(_path(pixel))
    if text is None:
        return None
    with reading(place.path(_path(pixel))):
        return PixelRecord(**json.loads(text))


def read_records(place: Place, pixels: Iterable[int]) -> dict[int, PixelRecord]:
    """The records of those of the pixels that have one, by ascending pixel."""
    wanted = sorted(pixels)
    with ThreadPoolExecutor(_REMOTE_THREADS if place.is_remote else 1) as threads:
        found = list(threads.map(lambda pixel: read_record(place, pixel), wanted))
    return {
        pixel: record for pixel, record in zip(wanted, found, strict=True) if record is not None
    }


def write_record(folder: Path, pixel: int, record: PixelRecord) -> None:
    """Write the record of a pixel; it comes after the stars that it vouches for."""
    with atomic(folder / _path(pixel)) as temporary:
        temporary.write_text(json.dumps(asdict(record), indent=1, sort_keys=True))


def _path(pixel: int) -> str:
    return f"{_FOLDER}/{pixel}.json"
