"""Member stars: each once, with what its lists say of it."""

from __future__ import annotations

import numpy as np

from viamachinae.config import LinkConfig
from viamachinae.link.candidates import find_candidates

CONFIG = LinkConfig()


def test_a_star_in_two_patches_is_one_member(crossing) -> None:
    linked = crossing(150.0, 30.0, CONFIG)
    candidates, members, _ = find_candidates(linked, CONFIG.candidates)
    first = members[members["candidate"] == candidates["candidate"][0]]
    held = [
        set(
            np.concatenate(
                [np.array(stars) for stars in one.protoclusters["source_id"].to_pylist()]
            )
        )
        for one in linked[:2]
    ]
    assert len(held[0] & held[1]) > 10
    assert list(first["source_id"]) == sorted(held[0] | held[1])
    log_ratio = dict.fromkeys(held[0] | held[1], -np.inf)
    for one in linked[:2]:
        for row in one.protoclusters.to_pylist():
            for star, value in zip(row["source_id"], row["log_ratio"], strict=True):
                log_ratio[star] = max(log_ratio[star], value)
    assert list(first["log_ratio"]) == [log_ratio[star] for star in first["source_id"]]


def test_the_line_stars_are_those_of_the_best_protocluster_of_each_patch(crossing) -> None:
    linked = crossing(150.0, 30.0, CONFIG)
    candidates, members, _ = find_candidates(linked, CONFIG.candidates)
    assert len(linked[0].protoclusters) > 1  # so that there are others, whose lines do not count
    expected = set()
    for one in linked[:2]:
        best = max(one.protoclusters.to_pylist(), key=lambda row: row["sigma"])
        expected |= set(np.array(best["source_id"])[best["on_line"]])
    first = members[members["candidate"] == candidates["candidate"][0]]
    assert set(first["source_id"][first["on_line"]]) == expected
    assert not first["on_line"].all()
