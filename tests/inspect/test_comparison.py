"""Matching the candidates of two runs by their stars."""

from __future__ import annotations

import numpy as np
from astropy.table import Table

from viamachinae.inspect.comparison import compare, rows_by_name, shared_counts


def run(lines: dict[str, tuple[float, range]]) -> tuple[Table, Table]:
    """Candidates with their significance and line stars."""
    names = list(lines)
    members = [(name, star, True) for name, (_, stars) in lines.items() for star in stars]
    members += [(name, 900 + i, False) for i, name in enumerate(names)]
    return (
        Table({"candidate": names, "sigma": [sigma for sigma, _ in lines.values()]}),
        Table(rows=members, names=["candidate", "source_id", "on_line"]),
    )


def test_shared_counts_are_those_of_sets() -> None:
    rng = np.random.default_rng(0)
    first, second = ([rng.permutation(50)[:n] for n in sizes] for sizes in ((5, 20, 0), (30, 8)))
    expected = [[len(set(a) & set(b)) for b in second] for a in first]
    assert shared_counts(first, second).tolist() == expected
    assert shared_counts([], second).shape == (0, 2)


def test_candidates_are_matched_lost_and_gained() -> None:
    before = run(
        {"a": (20.0, range(100)), "b": (9.0, range(200, 220)), "c": (8.5, range(300, 310))}
    )
    after = run(
        {"A": (22.5, range(40, 140)), "new": (10.0, range(400, 420)), "half": (8.0, range(20, 40))}
    )
    found = compare(*before, *after)
    assert list(found["change"]) == ["matched", "lost", "lost", "gained", "gained"]
    assert list(found["name_a"]) == ["a", "b", "c", "", ""]
    assert list(found["name_b"]) == ["A", "", "", "new", "half"]
    assert found["sigma_change"][0] == 2.5
    assert found["n_shared"][0] == 60
    assert np.isnan(found["sigma_change"][1:]).all()


def test_less_than_the_share_is_no_match() -> None:
    found = compare(*run({"a": (9.0, range(100))}), *run({"A": (9.0, range(60, 160))}))
    assert list(found["change"]) == ["lost", "gained"]


def test_empty_runs_compare() -> None:
    nothing = run({"a": (9.0, range(5))})
    none = nothing[0][:0], nothing[1][:0]
    assert len(compare(*none, *none)) == 0
    assert list(compare(*none, *nothing)["change"]) == ["gained"]


def test_rows_by_name_are_those_of_each_name_wherever_it_stands() -> None:
    column = np.array(["b", "b", "a", "b", "c"])
    rows = rows_by_name(["a", "b", "none"], column)
    assert [one.tolist() for one in rows] == [[2], [0, 1, 3], []]
    assert [one.tolist() for one in rows_by_name(["a"], column[:0])] == [[]]
