"""Consistency: which candidates other trainings give too, and what it does to the ranking."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from viamachinae.config import LinkConfig
from viamachinae.inspect.comparison import line_stars
from viamachinae.link.candidates import Candidates, candidate_line_stars, find_candidates
from viamachinae.link.consistency import consistency, scores_of, with_consistency
from viamachinae.link.hough import Ints

CONFIG = LinkConfig()


@pytest.fixture
def found(crossing) -> Candidates:
    """Two candidates, the first more significant."""
    candidates = find_candidates(crossing(150.0, 30.0, CONFIG), CONFIG.candidates)
    return only(candidates, [0, 1])


def only(found: Candidates, ranks: list[int]) -> Candidates:
    """What another training would give that finds these alone."""
    names = found.candidates["candidate"][ranks]
    kept = [table[np.isin(table["candidate"], names)] for table in found]
    return Candidates(*kept)


def lines(found: Candidates) -> list[Ints]:
    """The line stars of candidates, as linking a training alone gives them."""
    return line_stars(found.candidates, found.members)


def thinned(found: Candidates, share: float) -> Candidates:
    """The same candidates with a share of their line stars, and as many stars of no other."""
    members = found.members.copy()
    for name in found.candidates["candidate"]:
        line = np.flatnonzero((members["candidate"] == name) & members["on_line"])
        members["source_id"][line[round(share * len(line)) :]] *= -1
    return found._replace(members=members)


@pytest.mark.parametrize("ra", [150.0, 154.0])
def test_the_line_stars_alone_are_those_of_the_whole_linking(crossing, ra: float) -> None:
    linked = crossing(ra, 30.0, CONFIG)
    whole = lines(find_candidates(linked, CONFIG.candidates))
    alone = candidate_line_stars(linked, CONFIG.candidates)
    assert [one.tolist() for one in alone] == [one.tolist() for one in whole]
    assert candidate_line_stars([], CONFIG.candidates) == []


def test_a_candidate_returns_where_enough_of_its_line_stars_do(found: Candidates) -> None:
    first, second = only(found, [0]), only(found, [1])
    nothing = only(found, [])
    again = [lines(found), lines(first), lines(nothing)]
    assert consistency(found, again, 0.4) == pytest.approx([2 / 3, 1 / 3])
    assert consistency(found, [lines(second)] * 2, 0.4) == pytest.approx([0, 1])
    assert consistency(found, [lines(thinned(found, 0.5))], 0.4) == pytest.approx([1, 1])
    assert consistency(found, [lines(thinned(found, 0.3))], 0.4) == pytest.approx([0, 0])
    assert np.isnan(consistency(found, [], 0.4)).all()


def test_what_returns_ranks_above_what_does_not(found: Candidates) -> None:
    names = list(found.candidates["candidate"])
    ranked = with_consistency(found, [lines(only(found, [1]))], 0.4)
    assert list(ranked.candidates["candidate"]) == names[::-1]
    assert list(ranked.candidates["rank"]) == [1, 2]
    assert list(ranked.candidates["consistency"]) == [1, 0]
    for table, before in ((ranked.members, found.members), (ranked.lineage, found.lineage)):
        assert list(dict.fromkeys(table["candidate"])) == names[::-1]
        assert len(table) == len(before)
    again = with_consistency(found, [], 0.4)
    assert list(again.candidates["candidate"]) == names
    assert np.isnan(again.candidates["consistency"]).all()


def test_the_scores_of_one_training_take_the_place_of_those_of_all() -> None:
    scores = pa.table({"log_ratio": [1.0, 2.0], "log_ratio_0": [0.0, 3.0], "log_ratio_1": [2.0, 1]})
    assert scores_of(scores, None) is scores
    assert scores_of(scores, 1)["log_ratio"].to_pylist() == [2.0, 1.0]
    assert scores_of(scores, 1).column_names == scores.column_names
