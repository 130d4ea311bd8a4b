from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from viamachinae.query.lake.layout import (
    Partition,
    parse_partition_info,
    parse_properties,
    partition_info_text,
    partition_of,
    properties_text,
)


def test_paths_are_those_of_the_standard() -> None:
    # Examples of the HATS documentation.
    assert Partition(1, 44).path() == "Norder=1/Dir=0/Npix=44.parquet"
    assert Partition(7, 123_456).path() == "Norder=7/Dir=120000/Npix=123456.parquet"
    assert partition_of("dataset/Norder=7/Dir=120000/Npix=123456.snappy.parquet") == (7, 123_456)
    assert partition_of("dataset/_metadata") is None


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 10**8))))
def test_partitions_round_trip(pairs: list[tuple[int, int]]) -> None:
    partitions = [Partition(*pair) for pair in pairs]
    assert parse_partition_info(partition_info_text(partitions)) == partitions
    assert [partition_of(one.path()) for one in partitions] == partitions


def test_properties_of_every_writing() -> None:
    text = "#HATS catalog\n! more\n\nhats_col_ra = ra\nhats_nrows:7\nobs=a=b\n"
    assert parse_properties(text) == {"hats_col_ra": "ra", "hats_nrows": "7", "obs": "a=b"}
    assert parse_properties(properties_text({"hats_order": "5"})) == {"hats_order": "5"}
