"""Regions of interest: which windows, which stars, what is written of their lines."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from astropy.table import Table
from pydantic import ValidationError

from viamachinae.config import LinkConfig, RoiConfig
from viamachinae.errors import BadInputError
from viamachinae.link.hough import hough_plane
from viamachinae.link.lines import find_lines
from viamachinae.link.roi import LINES_SCHEMA, choose_stars, regions_of_interest, rows_of

# Windows that are narrow, and lists that may be all of their stars.
ROI = {"window_masyr": 2.0, "stride_masyr": 1.0, "n_stars": 10, "max_share": 1.0, "min_stars": 10}
CONFIG = LinkConfig(roi=RoiConfig(**ROI))


def choose(pm, log_ratio, source_id=None, **options):
    source_id = np.arange(len(pm)) if source_id is None else source_id
    config = RoiConfig(**{**ROI, **options})
    return choose_stars(np.asarray(pm), np.asarray(log_ratio), source_id, config)


def test_windows_are_half_open_at_multiples_of_the_stride_and_full() -> None:
    # Ten stars at exactly 1.0 and five at -0.5: [-1, 1) holds the five, [0, 2) and [1, 3) the ten.
    windows, stars = choose([1.0] * 10 + [-0.5] * 5, np.arange(15.0))
    np.testing.assert_array_equal(windows, [0.0, 1.0])
    np.testing.assert_array_equal(stars, [np.arange(9, -1, -1)] * 2)


def test_windows_follow_width_and_stride() -> None:
    windows, _ = choose(np.linspace(0.0, 0.9, 12), np.zeros(12), window_masyr=1.5, stride_masyr=0.5)
    # [-1, .5) holds 7 of the stars 0.08 apart; [-.5, 1), [0, 1.5) all 12; [.5, 2) the last 5.
    np.testing.assert_array_equal(windows, [-0.5, 0.0])


def test_the_best_stars_are_chosen_and_equal_ones_by_source_id() -> None:
    log_ratio = np.array([1.0] * 12 + [2.0])
    source_id = np.array([*range(112, 100, -1), 999])
    _, stars = choose(np.zeros(13), log_ratio, source_id)
    np.testing.assert_array_equal(source_id[stars[0]], [999, *range(101, 110)])


def test_unscored_stars_are_never_chosen() -> None:
    log_ratio = np.concatenate([[np.nan, -np.inf, np.inf], np.arange(9.0)])
    _, stars = choose(np.zeros(12), log_ratio)
    np.testing.assert_array_equal(stars[0], [2, *range(11, 2, -1)])
    log_ratio[2] = np.nan
    windows, stars = choose(np.zeros(12), log_ratio)
    assert (windows, stars) == ([], [])


def test_a_list_is_at_most_a_share_of_its_window_and_not_too_short() -> None:
    # Windows [-1, 1) and [0, 2) hold 30 stars, [9, 11) and [10, 12) hold 23.
    pm, score = [0.5] * 30 + [10.5] * 23, np.arange(53.0)
    options = {"n_stars": 100, "max_share": 0.5, "min_stars": 11}
    windows, stars = choose(pm, score, **options)
    assert windows == [-1.0, 0.0, 9.0, 10.0]
    assert [list(one) for one in stars] == [list(range(29, 14, -1))] * 2 + [
        list(range(52, 41, -1))
    ] * 2
    assert choose(pm, score, **{**options, "min_stars": 12})[0] == [-1.0, 0.0]
    assert choose(pm, score, **{**options, "min_stars": 16})[0] == []
    assert [len(one) for one in choose(pm, score, **{**options, "n_stars": 12})[1]] == [
        12,
        12,
        11,
        11,
    ]


@pytest.fixture
def hand_made() -> tuple[Table, dict[str, pa.Table]]:
    """Fifteen stars on phi = 1, then five that score low; two regions of one scan, one of the
    other.
    """
    n = 20
    stars = Table(
        {
            "source_id": 2**60 + np.arange(n),
            "phi": [1.0] * 15 + [-7.0, -3.0, 2.0, 5.0, 8.0],
            "lam": np.linspace(-5, 5, n),
            "pm_phi": np.repeat([0.5, 1.5], 10),
            "pm_lam": np.linspace(-4.5, -4.0, n),
        }
    )
    score = np.linspace(1, 0, n)
    region = {"pm_lam": [-6.0, -5.0], "pm_phi": [0.0]}
    scores = {
        scan: pa.table(
            {
                "source_id": np.tile(stars["source_id"], len(edges)),
                "region": np.repeat(edges, n),
                "log_ratio": np.tile(score, len(edges)),
            }
        )
        for scan, edges in region.items()
    }
    return stars, scores


def test_every_region_and_window_of_both_scans_gives_one_row(hand_made) -> None:
    stars, scores = hand_made
    rois = regions_of_interest(stars, scores, CONFIG, hough_plane(CONFIG.lines, 10.0))
    rows = list(
        zip(*(rois.lines[name].to_pylist() for name in ("scan", "region", "window")), strict=True)
    )
    windows_phi, windows_lam = [-1.0, 0.0, 1.0], [-6.0, -5.0]
    assert rows == [
        *[("pm_lam", region, w) for region in (-6.0, -5.0) for w in windows_phi],
        *[("pm_phi", 0.0, w) for w in windows_lam],
    ]
    assert rois.source_id.dtype == np.int64
    np.testing.assert_array_equal(rois.begin, np.arange(0, 90, 10))
    lists = rois.source_id.reshape(8, 10)
    np.testing.assert_array_equal(lists[1], 2**60 + np.arange(10))
    np.testing.assert_array_equal(lists[2], 2**60 + np.arange(10, 20))
    np.testing.assert_array_equal(rois.entries(np.array([2, 0]))[[0, 19]], [20, 9])


def test_lists_of_different_length_have_the_lines_that_they_have_alone(hand_made) -> None:
    stars, scores = hand_made
    plane = hough_plane(CONFIG.lines, 10.0)
    shorter = scores["pm_lam"].filter(pc.less(scores["pm_lam"]["region"], -5.0))[:19]
    config = LinkConfig(roi=RoiConfig(**{**ROI, "n_stars": 20}))
    rois = regions_of_interest(stars, {**scores, "pm_lam": shorter}, config, plane)
    assert np.diff(rois.begin).tolist() == [10, 19, 19, 20]
    for row, (first, last) in enumerate(pairwise(rois.begin)):
        x, y = rois.phi[first:last], rois.lam[first:last]
        alone = find_lines(plane, x, y, np.zeros(last - first, dtype=np.int64), 1)
        assert rois.lines["sigma"][row].as_py() == alone.sigma[0]
        np.testing.assert_array_equal(rois.on_line[first:last], alone.on_line)
        on_line = rois.pm_lam[first:last][alone.on_line]
        assert rois.lines["pm_lam_std"][row].as_py() == pytest.approx(on_line.std())


def test_a_row_describes_its_line(hand_made) -> None:
    stars, scores = hand_made
    rois = regions_of_interest(stars, scores, CONFIG, hough_plane(CONFIG.lines, 10.0))
    assert rois.lines.schema.equals(LINES_SCHEMA, check_metadata=True)
    row = {name: values[1] for name, values in rois.lines.to_pydict().items()}
    # phi = 1 is x = r sin(theta) at theta = 90 deg, r = 1.
    assert row["theta"] == pytest.approx(90, abs=10)  # ten stars, of half the disc
    assert row["r"] == pytest.approx(1, abs=0.5)
    assert row["n_line"] == 10
    assert row["pm_phi_mean"] == pytest.approx(0.5)
    assert row["pm_phi_std"] == pytest.approx(0, abs=1e-12)
    assert row["pm_lam_mean"] == pytest.approx(np.mean(stars["pm_lam"][:10]))
    assert row["pm_lam_std"] == pytest.approx(np.std(stars["pm_lam"][:10]))
    assert rois.on_line[rois.entries(np.array([1]))].all()


def test_the_order_of_the_tables_does_not_matter(hand_made, rng) -> None:
    stars, scores = hand_made
    plane = hough_plane(CONFIG.lines, 10.0)
    expected = regions_of_interest(stars, scores, CONFIG, plane)
    shuffled = {scan: table.take(rng.permutation(len(table))) for scan, table in scores.items()}
    found = regions_of_interest(stars[rng.permutation(20)], shuffled, CONFIG, plane)
    assert found.lines.equals(expected.lines)
    np.testing.assert_array_equal(found.source_id, expected.source_id)


def test_no_scores_give_no_rois(hand_made) -> None:
    stars, scores = hand_made
    plane = hough_plane(CONFIG.lines, 10.0)
    few = {scan: table[:5] for scan, table in scores.items()}
    for given, catalogue in ((few, stars), ({}, stars), ({"pm_lam": few["pm_lam"][:0]}, stars[:0])):
        rois = regions_of_interest(catalogue, given, CONFIG, plane)
        assert rois.lines.schema.equals(LINES_SCHEMA)
        assert len(rois.lines) == 0
        assert rois.source_id.shape == rois.on_line.shape == (0,)
        assert rois.begin.tolist() == [0]


def test_a_score_without_a_star_is_bad_input(hand_made) -> None:
    stars, scores = hand_made
    with pytest.raises(BadInputError, match=r"scores\.parquet .* source_id .* lacks"):
        regions_of_interest(stars[1:], scores, CONFIG, hough_plane(CONFIG.lines, 10.0))
    with pytest.raises(BadInputError, match="lacks"):
        rows_of(stars[:0], np.array([2**60]), "scores.parquet")
    np.testing.assert_array_equal(rows_of(stars, np.array([2**60 + 3, 2**60]), "x"), [3, 0])


def test_lists_shorter_than_the_shortest_are_refused() -> None:
    with pytest.raises(ValidationError, match="min_stars must not exceed n_stars"):
        RoiConfig(n_stars=15)
