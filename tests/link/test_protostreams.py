"""Protostreams: sharing of line stars."""

from __future__ import annotations

import numpy as np

from viamachinae.link.protostreams import connected, protostreams, shared_stars

BIG = 2**62  # source_ids do not fit into a float


def stars(*ranges):
    return np.concatenate([np.arange(a, b) for a, b in ranges]) + BIG


def test_more_than_the_share_of_the_smaller_joins() -> None:
    ten, sharing_four, sharing_five = stars((0, 10)), stars((6, 106)), stars((5, 105))
    np.testing.assert_array_equal(protostreams([ten, sharing_four], 0.4), [0, 1])
    np.testing.assert_array_equal(protostreams([ten, sharing_five], 0.4), [0, 0])


def test_joining_is_passed_on_and_numbered_by_first_appearance() -> None:
    sets = [stars((50, 60)), stars((0, 10)), stars((55, 65)), stars((62, 70)), stars((90, 99))]
    np.testing.assert_array_equal(protostreams(sets, 0.3), [0, 1, 0, 0, 2])


def test_no_share_needs_a_common_star_still() -> None:
    np.testing.assert_array_equal(protostreams([stars((0, 5)), stars((5, 9))], 0.0), [0, 1])


def test_shared_stars_are_those_in_both_sets() -> None:
    rng = np.random.default_rng(1)
    sets = [np.unique(rng.integers(BIG, BIG + 200, 60)) for _ in range(8)]
    expected = {(i, j): len(np.intersect1d(sets[i], sets[j])) for j in range(8) for i in range(j)}
    first, second, shared = shared_stars(sets)
    found = {(int(i), int(j)): int(n) for i, j, n in zip(first, second, shared, strict=True)}
    assert found == {pair: n for pair, n in expected.items() if n}


def test_none_give_none() -> None:
    none = np.empty(0, dtype=np.int64)
    assert protostreams([], 0.4).shape == (0,)
    np.testing.assert_array_equal(protostreams([none, none], 0.4), [0, 1])
    np.testing.assert_array_equal(connected(3, none, none), [0, 1, 2])
