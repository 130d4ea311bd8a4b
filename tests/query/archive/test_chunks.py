from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viamachinae.errors import BadInputError
from viamachinae.query.archive.chunks import Chunk, make_chunks

COUNTS = st.dictionaries(st.integers(0, 60), st.integers(0, 10), min_size=1)


@given(COUNTS)
def test_chunks_hold_every_pixel_once_within_the_limit(counts: dict[int, int]) -> None:
    chunks = make_chunks(counts, counts, row_limit=12)
    assert [pixel for chunk in chunks for pixel in chunk.pixels()] == sorted(counts)
    for chunk in chunks:
        assert chunk.n_stars == sum(counts[pixel] for pixel in chunk.pixels()) <= 12


@given(COUNTS)
def test_no_two_chunks_could_be_one(counts: dict[int, int]) -> None:
    chunks = make_chunks(counts, counts, row_limit=12)
    for one, other in itertools.pairwise(chunks):
        assert other.first > one.last + 1 or one.n_stars + counts[other.first] > 12


@given(COUNTS, st.integers(0, 60))
def test_a_list_that_was_broken_off_goes_on_as_it_was(counts: dict[int, int], cut: int) -> None:
    chunks = make_chunks(counts, counts, row_limit=12)
    written = chunks[:cut]
    rest = set(counts) - {pixel for chunk in written for pixel in chunk.pixels()}
    assert written + make_chunks(rest, counts, row_limit=12) == chunks


def test_a_pixel_that_was_never_counted_is_one_without_stars() -> None:
    assert make_chunks([3, 4, 9], {4: 5}, 100) == [Chunk(3, 4, 5), Chunk(9, 9, 0)]


def test_a_pixel_above_the_limit_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"pixel 7 holds 11 stars.*row_limit = 10.*order"):
        make_chunks([6, 7], {6: 1, 7: 11}, 10)
