"""Pixels in chunks: as much of the sky at once as an archive sends in one answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from viamachinae.errors import BadInputError


class Chunk(NamedTuple):
    """Neighbouring pixels, one range of source_id.

    Attributes
    ----------
    first, last : int
        Pixels (NESTED), both included.
    n_stars : int
        Stars in them, as counted by the archive.
    """

    first: int
    last: int
    n_stars: int

    def pixels(self) -> range:
        """All its pixels."""
        return range(self.first, self.last + 1)


def make_chunks(pixels: Iterable[int], counts: Mapping[int, int], row_limit: int) -> list[Chunk]:
    """Join pixels that follow one another while their stars stay within a limit.

    What the first chunks hold does not depend on the pixels after them, so that a list that
    was broken off is taken up where it ended.

    Parameters
    ----------
    counts : mapping of int to int
        Stars by pixel; none in a pixel that is not there.
    row_limit : int
        Most stars in a chunk.

    Raises
    ------
    BadInputError
        If a single pixel holds more.
    """
    chunks: list[Chunk] = []
    for pixel in sorted(pixels):
        n_stars = counts.get(pixel, 0)
        if n_stars > row_limit:
            raise BadInputError(
                f"pixel {pixel} holds {n_stars} stars, more than query.row_limit = {row_limit}; "
                "raise that if the archive allows it, or make another lake (query.lake) with a "
                "higher query.order"
            )
        last = chunks[-1] if chunks else None
        if last and last.last + 1 == pixel and last.n_stars + n_stars <= row_limit:
            chunks[-1] = Chunk(last.first, pixel, last.n_stars + n_stars)
        else:
            chunks.append(Chunk(pixel, pixel, n_stars))
    return chunks
