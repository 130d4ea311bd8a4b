"""What a lake's archive was asked: stars counted by pixel, and the chunks they were asked in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from viamachinae.disk import atomic
from viamachinae.query.archive.chunks import Chunk, make_chunks


class Ledger:
    """Two files in a folder of the lake; what stands in them is asked of no archive again.

    Parameters
    ----------
    folder : Path
        Need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def counts(self) -> dict[int, int]:
        """Stars by pixel, as counted by the archive."""
        return {int(pixel): n for pixel, n in _read(self.folder / "counts.json", {}).items()}

    def keep_counts(self, counts: Mapping[int, int]) -> None:
        """Write down all counts."""
        _write(self.folder / "counts.json", {str(pixel): counts[pixel] for pixel in sorted(counts)})

    def chunks(self) -> list[Chunk]:
        """All chunks ever asked for, in the order of the sky."""
        return [Chunk(*chunk) for chunk in _read(self.folder / "chunks.json", [])]

    def keep_chunks(self, chunks: Iterable[Chunk]) -> None:
        """Write down all chunks."""
        _write(self.folder / "chunks.json", sorted(chunks))

    def due(
        self, absent: Iterable[int], counts: Mapping[int, int], row_limit: int
    ) -> tuple[list[Chunk], list[Chunk]]:
        """Chunks that hold the absent pixels.

        Returns
        -------
        begun, new : list of Chunk
            Those that an earlier run planned and did not end, as it planned them, and those
            that nobody has planned yet.
        """
        open_pixels = set(absent)
        planned = [chunk for chunk in self.chunks() if chunk.n_stars <= row_limit]
        begun = [chunk for chunk in planned if not open_pixels.isdisjoint(chunk.pixels())]
        for chunk in begun:
            open_pixels.difference_update(chunk.pixels())
        return begun, make_chunks(open_pixels, counts, row_limit)

    def strike(self, absent: Iterable[int]) -> None:
        """Forget chunks and counts of pixels that are not in the lake: a count was wrong."""
        struck = set(absent)
        kept = [chunk for chunk in self.chunks() if struck.isdisjoint(chunk.pixels())]
        self.keep_chunks(kept)
        counts = self.counts()
        self.keep_counts({pixel: counts[pixel] for pixel in counts.keys() - struck})


def _read(path: Path, default: Any) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return default


def _write(path: Path, content: Any) -> None:
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
