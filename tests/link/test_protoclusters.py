"""Protoclusters: what merges, what does not, and that nothing is lost or counted wrongly."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

from viamachinae.config import LinkConfig
from viamachinae.link.hough import hough_plane
from viamachinae.link.lines import find_lines
from viamachinae.link.protoclusters import (
    PROTOCLUSTERS_SCHEMA,
    find_protoclusters,
    grow_clusters,
)
from viamachinae.link.roi import regions_of_interest
from viamachinae.sky import Patch

CONFIG = LinkConfig.model_validate({"roi": {"n_stars": 60}})
PLANE = hough_plane(CONFIG.lines, 10.0)
PATCH = Patch("here", 150.0, 30.0, 15.0, 10.0)


@pytest.fixture
def sky(disc, line, catalogue):
    """Forty stars on one line and 300 others, all of much the same proper motion."""
    on, off = line(40, 30.0, 2.0), disc(300)
    phi, lam = (np.concatenate(pair) for pair in zip(on, off, strict=True))
    return catalogue(PATCH, phi, lam, (-4.0, -9.0))


def share(first: int) -> np.ndarray:
    """Twenty stars of the line from `first` on, and forty others of their own."""
    others = 40 + 2 * first + np.arange(40)
    return np.concatenate([first + np.arange(20), others])


def clusters_of(rois, max_pm_distance=1.0):
    return sorted(sorted(c.rois.tolist()) for c in grow_clusters(rois, PLANE, max_pm_distance))


def in_one_window(rois, window):
    """Only the ROIs of one window of the other proper motion, by scan."""
    at = np.array(
        [
            w == window[s]
            for s, w in zip(
                rois.lines["scan"].to_pylist(), rois.lines["window"].to_pylist(), strict=True
            )
        ]
    )
    entries = rois.entries(np.flatnonzero(at))
    return rois._replace(
        lines=rois.lines.filter(at),
        begin=np.append(0, np.cumsum(np.diff(rois.begin)[at])),
        **{name: getattr(rois, name)[entries] for name in rois._fields[2:]},
    )


WINDOW = {"pm_lam": -7.0, "pm_phi": -12.0}


def test_two_regions_that_share_a_line_merge_and_gain(sky, choose) -> None:
    lists = [("pm_lam", -12.0, share(0)), ("pm_lam", -11.0, share(20))]
    rois = in_one_window(choose(sky, lists, CONFIG), WINDOW)
    assert len(rois.lines) == 2
    (merged,) = grow_clusters(rois, PLANE, 1.0)
    assert sorted(merged.rois) == [0, 1]
    assert merged.sigma > max(rois.lines["sigma"].to_pylist())
    # What the sum of counts gave is what the line finder gives for the lists put together.
    entries = rois.entries(merged.rois)
    x, y = rois.phi[entries], rois.lam[entries]
    alone = find_lines(PLANE, x, y, np.zeros(120, dtype=np.int64), 1)
    assert merged.sigma == pytest.approx(alone.sigma[0])
    assert (merged.theta_deg, merged.r_deg) == (alone.theta_deg[0], alone.r_deg[0])
    np.testing.assert_array_equal(merged.on_line, alone.on_line)


def test_regions_of_two_scans_merge(sky, choose) -> None:
    lists = [("pm_lam", -12.0, share(0)), ("pm_phi", -7.0, share(20))]
    rois = in_one_window(choose(sky, lists, CONFIG), WINDOW)
    assert clusters_of(rois) == [[0, 1]]


def test_windows_of_one_region_do_not_merge(sky, choose) -> None:
    rois = choose(sky, [("pm_lam", -12.0, share(0))], CONFIG)
    assert len(rois.lines) >= 2
    assert clusters_of(rois) == [[i] for i in range(len(rois.lines))]


def test_regions_of_different_proper_motions_do_not_merge(sky, choose) -> None:
    lists = [("pm_lam", -12.0, share(0)), ("pm_lam", -11.0, share(20))]
    apart = sky.copy()
    rows = share(20)
    apart["pm_lam"][rows] += 1.2  # spread 0.5 each: (1.2 / 0.5)² / 2 = 2.9
    rois = in_one_window(choose(apart, lists, CONFIG), WINDOW)
    assert clusters_of(rois) == [[0], [1]]
    assert clusters_of(rois, max_pm_distance=9.0) == [[0, 1]]


def test_regions_without_a_common_line_do_not_merge(disc, line, catalogue, choose) -> None:
    one, other, off = line(30, 30.0, 2.0), line(30, 120.0, -5.0), disc(60)
    phi, lam = (np.concatenate(three) for three in zip(one, other, off, strict=True))
    stars = catalogue(PATCH, phi, lam, (-4.0, -9.0))
    lists = [
        ("pm_lam", -12.0, np.concatenate([np.arange(30), np.arange(60, 90)])),
        ("pm_lam", -11.0, np.concatenate([np.arange(30, 60), np.arange(90, 120)])),
    ]
    rois = in_one_window(choose(stars, lists, CONFIG), WINDOW)
    assert clusters_of(rois) == [[0], [1]]


def test_the_table_counts_each_star_once_and_keeps_the_lineage(sky, choose) -> None:
    lists = [("pm_lam", -12.0, share(0)), ("pm_lam", -11.0, share(10)), ("pm_phi", -7.0, share(20))]
    rois = in_one_window(choose(sky, lists, CONFIG), WINDOW)
    table = find_protoclusters(rois, PLANE, CONFIG)
    assert table.schema.equals(PROTOCLUSTERS_SCHEMA, check_metadata=True)
    (row,) = table.to_pylist()
    assert sorted(row["roi"]) == [0, 1, 2]
    source_id, on_line = np.array(row["source_id"]), np.array(row["on_line"])
    np.testing.assert_array_equal(source_id, np.unique(rois.source_id))
    assert row["n_line_unique"] == on_line.sum() < row["n_line"]
    theirs = np.isin(rois.source_id, source_id[on_line])
    assert row["n_line"] == theirs.sum()
    assert row["pm_lam_mean"] == pytest.approx(rois.pm_lam[theirs].mean())
    assert row["pm_phi_std"] == pytest.approx(rois.pm_phi[theirs].std())
    for star, value in zip(source_id, row["log_ratio"], strict=True):
        assert value == rois.log_ratio[rois.source_id == star].max()
    stream = np.asarray(sky["source_id"])[:40]
    assert np.isin(stream, source_id[on_line]).mean() > 0.9


def test_insignificant_clusters_are_left_out_and_the_rest_ranked(sky, choose) -> None:
    lists = [
        ("pm_lam", -12.0, share(0)),
        ("pm_lam", -11.0, share(20)),
        ("pm_lam", -10.0, share(10)),
    ]
    rois = choose(sky, lists, CONFIG)
    keep_all = CONFIG.model_copy(
        update={"protoclusters": CONFIG.protoclusters.model_copy(update={"min_sigma": 0.0})}
    )
    everything = find_protoclusters(rois, PLANE, keep_all)
    sigma = np.asarray(everything["sigma"])
    assert np.all(np.diff(sigma) <= 0)
    assert sorted(i for rois_of in everything["roi"].to_pylist() for i in rois_of) == list(
        range(len(rois.lines))
    )
    kept = find_protoclusters(rois, PLANE, CONFIG)
    assert 0 < len(kept) == np.sum(sigma >= 8.0) < len(sigma)
    # The windows of one region hold the same stream: one protostream.
    assert set(kept["protostream"].to_pylist()) == {0}


def test_the_result_is_the_same_again_and_ties_are_decided(sky, choose) -> None:
    # Twice the same list: equal significances throughout.
    lists = [("pm_lam", float(edge), share(0)) for edge in (-13, -12, -11, -10)]
    rois = choose(sky, lists, CONFIG)
    first = find_protoclusters(rois, PLANE, CONFIG)
    assert first.equals(find_protoclusters(rois, PLANE, CONFIG))
    assert first["roi"].to_pylist()[0][0] == 0


def test_no_rois_give_no_protoclusters() -> None:
    empty = Table(
        {"source_id": np.empty(0, dtype=np.int64)}
        | {name: np.empty(0) for name in ("phi", "lam", "pm_phi", "pm_lam")}
    )
    rois = regions_of_interest(empty, {}, CONFIG, PLANE)
    table = find_protoclusters(rois, PLANE, CONFIG)
    assert len(table) == 0
    assert table.schema.equals(PROTOCLUSTERS_SCHEMA)
