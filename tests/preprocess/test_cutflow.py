"""Rules applied in order, and their counts."""

from __future__ import annotations

import json

import numpy as np

from viamachinae.preprocess.cutflow import CutFlow, Rule, apply

A = np.array([True, True, True, False, False])
B = np.array([True, False, True, True, False])


def test_each_rule_counts_what_the_ones_before_left() -> None:
    missing = np.array([False, True, False, False, True])
    kept, rows = apply([Rule("a", "A holds", A), Rule("b", "B holds", B, missing)], 5, "drop")
    assert kept.tolist() == [True, False, True, False, False]
    assert [(row.n_before, row.n_after, row.n_missing) for row in rows] == [(5, 3, 0), (3, 2, 1)]
    assert all(row.applied and row.effect == "drop" for row in rows)


def test_a_rule_that_cannot_be_applied_removes_nothing_and_says_why() -> None:
    kept, rows = apply([Rule("ruwe", "ruwe < 1.4", None, reason="no column")], 5, "mark")
    assert kept.all()
    assert (rows[0].n_before, rows[0].n_after, rows[0].applied) == (5, 5, False)
    assert rows[0].reason == "no column"


def test_rules_leave_their_masks_alone() -> None:
    before = A.copy()
    apply([Rule("a", "", A), Rule("b", "", B)], 5, "drop")
    np.testing.assert_array_equal(A, before)


def test_no_stars() -> None:
    kept, rows = apply([Rule("a", "", np.empty(0, np.bool_))], 0, "drop")
    assert kept.size == 0
    assert (rows[0].n_before, rows[0].n_after) == (0, 0)


def test_as_json_and_as_text() -> None:
    _, rows = apply([Rule("a", "A holds", A)], 5, "drop")
    flow = CutFlow(tuple(rows))
    assert json.loads(json.dumps(flow.as_dict(), allow_nan=False)) == {
        "rules": [
            {
                "rule": "a",
                "effect": "drop",
                "n_before": 5,
                "n_after": 3,
                "n_missing": 0,
                "applied": True,
                "reason": "",
                "description": "A holds",
            }
        ]
    }
