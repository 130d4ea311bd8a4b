"""Verdicts as text, and whom they are about after a rescan."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

from viamachinae.errors import BadInputError
from viamachinae.inspect.vetting import (
    HEAD,
    MAX_STARS,
    Vetting,
    current,
    known_by,
    parse_vetting,
    vetting_text,
)

SAID = Vetting("me", "2026-01-01T00:00:00+00:00", "bright", "doubtful", 'a "note", with ü', (1, 2))


def test_rows_come_back() -> None:
    text = HEAD + vetting_text(SAID) + vetting_text(SAID._replace(stars=(2**62 + 1,)))
    assert parse_vetting(text, "f") == [SAID, SAID._replace(stars=(2**62 + 1,))]
    assert parse_vetting("", "f") == []


def test_a_note_of_two_lines_stays_one_row() -> None:
    text = vetting_text(SAID._replace(note="first\nsecond"))
    assert text.count("\n") == 1
    assert parse_vetting(HEAD + text, "f")[0].note == "first second"


@pytest.mark.parametrize("tail", ["me,now,name\n", "me,now,name,stream,,1 x\n"])
def test_a_damaged_row_is_named(tail: str) -> None:
    with pytest.raises(BadInputError, match=r"vetting\.csv: line 3"):
        parse_vetting(HEAD + vetting_text(SAID) + tail, "vetting.csv")


def test_another_file_is_refused() -> None:
    with pytest.raises(BadInputError, match="must begin with who,when"):
        parse_vetting("a,b\n1,2\n", "vetting.csv")


def test_a_candidate_is_known_by_its_best_line_stars(members: Table) -> None:
    own = members[members["candidate"] == "bright"]
    line = own[own["on_line"]]
    assert set(known_by(own)) == set(line["source_id"].tolist())
    assert known_by(own)[0] == line["source_id"][np.argmax(line["log_ratio"])]
    assert len(known_by(own)) <= MAX_STARS


def test_a_verdict_follows_the_stars_and_the_last_counts(candidates: Table, members: Table) -> None:
    own = members[members["candidate"] == "bright"]
    first = SAID._replace(candidate="another_name", stars=known_by(own))
    last = first._replace(verdict="stream")
    found = current([first, last], candidates, members)
    assert found == {"bright": last}


def test_a_name_without_its_stars_says_nothing(candidates: Table, members: Table) -> None:
    assert current([SAID], candidates, members) == {}
    few = known_by(members[members["candidate"] == "bright"])[:4] + tuple(range(6))
    assert current([SAID._replace(stars=few)], candidates, members) == {}
    assert current([], candidates, members) == {}
    assert current([SAID], candidates[:0], members[:0]) == {}
