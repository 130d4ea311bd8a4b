"""Joining protostreams of overlapping patches: lines that agree and stars that are shared."""

from __future__ import annotations

import numpy as np
import pytest

from viamachinae.config import CandidateConfig, LinkConfig
from viamachinae.link.streams import (
    Protostreams,
    gather_protostreams,
    join_protostreams,
    star_entries,
)
from viamachinae.sky import Patch

HERE = Patch("here", 150.0, 30.0, 15.0, 10.0)
THERE = Patch("there", 160.0, 32.0, 15.0, 10.0)


def two(theta_b: float, r_b: float, stars_a, stars_b, patches=(HERE, THERE)) -> Protostreams:
    """A protostream along theta = 20 deg, r = 1 deg of the first patch, one of the second.

    The line stars stand at one point of the overlap: only who shares whom matters here.
    """
    place = HERE.from_frame([4.3], [1.0], [0.0], [0.0])
    n = len(stars_a) + len(stars_b)
    return Protostreams(
        patch=np.array([0, len(patches) - 1]),
        number=np.array([0, 0]),
        best=np.array([0, 0]),
        theta_deg=np.array([20.0, theta_b]),
        r_deg=np.array([1.0, r_b]),
        sigma=np.array([9.0, 10.0]),
        owner=np.repeat([0, 1], [len(stars_a), len(stars_b)]),
        source_id=np.concatenate([stars_a, stars_b]),
        ra=np.full(n, place.ra[0]),
        dec=np.full(n, place.dec[0]),
    )


def offset(theta_deg: float, x: float, y: float) -> float:
    """The r of the line at an angle through a point."""
    theta = np.radians(theta_deg)
    return float(x * np.sin(theta) - y * np.cos(theta))


def seen_from_there(theta_deg: float, r_deg: float) -> tuple[float, float]:
    """The line of HERE in the frame of THERE, by two of its points in the overlap."""
    theta, t = np.radians(theta_deg), np.array([3.0, 7.0])
    x = r_deg * np.sin(theta) + t * np.cos(theta)
    y = t * np.sin(theta) - r_deg * np.cos(theta)
    sky = HERE.from_frame(x, y, [0.0, 0.0], [0.0, 0.0])
    (x0, x1), (y0, y1), _, _ = THERE.to_frame(sky.ra, sky.dec, [0.0, 0.0], [0.0, 0.0])
    there = np.arctan2(y1 - y0, x1 - x0)
    return float(np.degrees(there)), offset(np.degrees(there), x0, y0)


@pytest.mark.parametrize(
    ("turn", "shift", "joined"),
    [
        (0, 0, True),
        (7, 0, True),
        (-7, 0, True),
        (12, 0, False),
        (-90, 0, False),
        (0, 0.8, True),
        (0, -0.8, True),
        (0, 1.3, False),
        (0, -1.3, False),
    ],
)
def test_lines_must_agree(turn: float, shift: float, joined: bool) -> None:
    theta, r = seen_from_there(20.0, 1.0)
    # The turned line goes by the same point in the middle of the overlap.
    centre = np.radians(20.0)
    x, y = np.sin(centre) + 5 * np.cos(centre), 5 * np.sin(centre) - np.cos(centre)
    sky = HERE.from_frame([x], [y], [0.0], [0.0])
    (x,), (y,), _, _ = THERE.to_frame(sky.ra, sky.dec, [0.0], [0.0])
    r += offset(theta + turn, x, y) - offset(theta, x, y)
    same = np.arange(10) + 2**60
    found = two(theta + turn, r + shift, same, same)
    label = join_protostreams(found, [HERE, THERE], CandidateConfig())
    assert (label[0] == label[1]) == joined


def test_a_line_and_its_reverse_are_one() -> None:
    theta, r = seen_from_there(20.0, 1.0)
    same = np.arange(10)
    found = two(theta + 180, -r, same, same)
    np.testing.assert_array_equal(
        join_protostreams(found, [HERE, THERE], CandidateConfig()), [0, 0]
    )


@pytest.mark.parametrize(("n_shared", "joined"), [(0, False), (4, False), (5, True)])
def test_enough_stars_must_be_shared(n_shared: int, joined: bool) -> None:
    theta, r = seen_from_there(20.0, 1.0)
    found = two(theta, r, np.arange(10), np.arange(10 - n_shared, 50))
    label = join_protostreams(found, [HERE, THERE], CandidateConfig())
    assert (label[0] == label[1]) == joined


def test_stars_outside_the_overlap_do_not_count_against_sharing() -> None:
    theta, r = seen_from_there(20.0, 1.0)
    found = two(theta, r, np.arange(30), np.arange(25, 60))
    outside = HERE.from_frame([-9.0], [0.0], [0.0], [0.0])
    found.ra[:20], found.dec[:20] = outside.ra, outside.dec
    # Of ten stars of the first in the overlap, the second has five.
    np.testing.assert_array_equal(
        join_protostreams(found, [HERE, THERE], CandidateConfig()), [0, 0]
    )


def test_patches_that_do_not_overlap_never_join() -> None:
    far = Patch("far", 175.0, 32.0, 15.0, 10.0)
    same = np.arange(10)
    found = two(20.0, 1.0, same, same)
    assert len(set(join_protostreams(found, [HERE, far], CandidateConfig()))) == 2


def test_protostreams_are_gathered_with_the_line_stars_of_their_best(crossing) -> None:
    config = LinkConfig()
    linked = crossing(150.0, 30.0, config)
    found = gather_protostreams(linked)
    assert set(found.patch) == {0, 1, 2}
    for node in range(len(found.patch)):
        one = linked[found.patch[node]]
        rows = one.protoclusters.to_pylist()
        own = [row for row in rows if row["protostream"] == found.number[node]]
        best = max(own, key=lambda row: row["sigma"])
        assert found.sigma[node] == best["sigma"]
        mine = found.owner == node
        on_line = np.array(best["source_id"])[best["on_line"]]
        np.testing.assert_array_equal(np.sort(found.source_id[mine]), on_line)
        ra = dict(zip(one.stars["source_id"], one.stars["ra"], strict=True))
        assert [ra[s] for s in found.source_id[mine]] == list(found.ra[mine])


def test_no_patches_give_nothing(crossing) -> None:
    assert join_protostreams(gather_protostreams([]), [], CandidateConfig()).shape == (0,)
    one = crossing(150.0, 30.0, LinkConfig())[0]
    entries = star_entries(one.protoclusters[:0])
    assert [values.shape for values in entries] == [(0,)] * 4
    assert entries.source_id.dtype == np.int64
