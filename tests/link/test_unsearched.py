from __future__ import annotations

import numpy as np
import pyarrow as pa
from astropy.table import Table

from viamachinae.config import LinkConfig, RoiConfig
from viamachinae.link.hough import hough_plane
from viamachinae.link.roi import regions_of_interest
from viamachinae.link.unsearched import unsearched

CONFIG = LinkConfig(roi=RoiConfig(window_masyr=2.0, max_share=1.0, min_stars=10))


def sky() -> tuple[Table, dict[str, pa.Table]]:
    """In the scan of pm_phi 30 stars at pm_lam 0.5 and nine at 8.5; three of these nine, by the
    other scan, are in a window of ten."""
    rng = np.random.default_rng(1)
    n = 46
    stars = Table({name: rng.uniform(-3, 3, n) for name in ("phi", "lam")})
    stars["source_id"] = np.arange(n) + 100
    stars["pm_lam"] = [0.5] * 30 + [8.5] * 9 + [-9.5] * 7
    stars["pm_phi"] = [0.5] * 30 + [0.5] * 6 + [4.5] * 3 + [4.5] * 7
    of_phi, of_lam = np.arange(100, 139), np.arange(136, 146)
    scores = {
        scan: pa.table(
            {"source_id": ids, "region": np.full(len(ids), 0.0), "log_ratio": rng.random(len(ids))}
        )
        for scan, ids in (("pm_phi", of_phi), ("pm_lam", of_lam))
    }
    return stars, scores


def test_stars_that_move_as_few_do_are_named() -> None:
    stars, scores = sky()
    rois = regions_of_interest(stars, scores, CONFIG, hough_plane(CONFIG.lines, 5.0))
    left_out, n_scored = unsearched(stars, scores, rois.lines, CONFIG.roi)
    # Nine stars fill no window; the last three of them are among the ten of the other scan.
    assert left_out.tolist() == list(range(130, 136))
    assert n_scored == 46


def test_without_a_window_all_are_left_out() -> None:
    stars, scores = sky()
    config = LinkConfig(roi=RoiConfig(window_masyr=2.0, min_stars=40))
    rois = regions_of_interest(stars, scores, config, hough_plane(config.lines, 5.0))
    left_out, n_scored = unsearched(stars, scores, rois.lines, config.roi)
    assert len(left_out) == n_scored == 46


def test_of_no_scores_nothing_is_left_out() -> None:
    stars, _ = sky()
    rois = regions_of_interest(stars, {}, CONFIG, hough_plane(CONFIG.lines, 5.0))
    assert unsearched(stars, {}, rois.lines, CONFIG.roi)[1] == 0
