from __future__ import annotations

import gzip

import numpy as np
import pyarrow as pa
import pytest

from tests.tap.front import to_votable
from viamachinae.query.archive.errors import LostJobError
from viamachinae.query.archive.votable import read_votable

# Written by hand after the VOTable standard 1.4; 2**62 + 1 needs all digits of an int64.
BY_HAND = """<?xml version="1.0"?>
<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE type="results">
<INFO name="QUERY_STATUS" value="{status}">{words}</INFO><TABLE>
<FIELD name="SOURCE_ID" datatype="long"/>
<FIELD name="pmra" datatype="double" unit="mas.yr**-1"/>
<FIELD name="bp_rp" datatype="float" unit="'magnitudes'"/>
<FIELD name="n" datatype="int"><VALUES null="-9"/></FIELD>
<DATA><TABLEDATA>
<TR><TD>4611686018427387905</TD><TD>-1.25</TD><TD>0.5</TD><TD>3</TD></TR>
<TR><TD>2</TD><TD></TD><TD>NaN</TD><TD>-9</TD></TR>
</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>
"""


def by_hand(status: str = "OK", words: str = "") -> bytes:
    return BY_HAND.format(status=status, words=words).encode()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_types_digits_and_gaps(pack) -> None:
    table, is_cut = read_votable(pack(by_hand()))
    assert not is_cut
    assert table.column_names == ["source_id", "pmra", "bp_rp", "n"]
    assert [str(kind) for kind in table.schema.types] == ["int64", "double", "float", "int32"]
    assert table["source_id"].to_pylist() == [4611686018427387905, 2]
    assert table["pmra"].to_pylist() == [-1.25, None]
    assert table["n"].to_pylist() == [3, None]
    gap = table["bp_rp"].to_pylist()[1]
    assert gap is None or np.isnan(gap)


def test_the_binary_form_holds_the_same(rows: pa.Table) -> None:
    assert read_votable(to_votable(rows)).table.equals(rows)


def test_no_rows_keep_their_types(rows: pa.Table) -> None:
    table, _ = read_votable(to_votable(rows.slice(0, 0)))
    assert (table.num_rows, table.schema.types) == (0, rows.schema.types)


def test_an_overflow_is_told() -> None:
    assert read_votable(by_hand("OVERFLOW")).is_cut


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_truncated_answer_is_none(rows: pa.Table, share: float, pack) -> None:
    whole = pack(to_votable(rows))
    with pytest.raises(LostJobError, match=r"cut off|no whole VOTable"):
        read_votable(whole[: int(share * len(whole))])


@pytest.mark.parametrize("content", [b"", b"<html><body>Down for maintenance</body></html>"])
def test_what_is_no_votable_is_no_answer(content: bytes) -> None:
    with pytest.raises(LostJobError, match="no whole VOTable"):
        read_votable(content)


def test_an_error_in_place_of_rows_is_told() -> None:
    with pytest.raises(LostJobError, match=r"query was\s*cancelled"):
        read_votable(by_hand("ERROR", "query was\ncancelled"))
