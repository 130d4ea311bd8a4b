"""The lines of a patch as its files hold them: what a report shows of a candidate's line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from astropy.table import Table

from viamachinae.config import Scan, ScanConfig
from viamachinae.inspect.view import HoughMap, LineView, Ratios, Region
from viamachinae.link.hough import Ints, box_counts, hough_curves, hough_plane
from viamachinae.link.lines import significance
from viamachinae.link.lists import roi_lists
from viamachinae.score.columns import ratio_columns
from viamachinae.score.features import OTHER_PM
from viamachinae.sky import FramePositions, Patch
from viamachinae.store.files import read_arrow, read_json, read_table
from viamachinae.store.run import RunFolder


class PatchFiles(NamedTuple):
    """The files of a patch, and the star lists (rows of `stars`) of its ROIs `rois`."""

    patch: Patch
    stars: Table
    scores: Mapping[Scan, pa.Table]
    lines: pa.Table
    protoclusters: pa.Table
    rois: Ints
    lists: list[Ints]
    cutflow: list[dict[str, object]]


def read_patch(config: ScanConfig, run: RunFolder, patch: Patch, rois: Ints) -> PatchFiles:
    """Read the files of a patch, and take the lists of the ROIs `rois` again from its scores."""
    stars, lines = read_table(run.stars(patch.id)), read_arrow(run.lines(patch.id))
    columns = ["source_id", "region", "log_ratio", *ratio_columns(config.train.retrainings)]
    scores: dict[Scan, pa.Table] = {
        scan: read_arrow(run.scores(patch.id, scan), columns)
        for scan in config.regions.scans
        if run.scores(patch.id, scan).is_file()
    }
    return PatchFiles(
        patch,
        stars,
        scores,
        lines,
        read_arrow(run.protoclusters(patch.id)),
        rois,
        roi_lists(stars, scores, lines, rois, config.link.roi),
        read_json(run.cutflow(patch.id))["rules"],
    )


def line_view(config: ScanConfig, found: PatchFiles, row: int, sample: Ints) -> LineView:
    """The view of a protocluster, a `row` of its patch, among a `sample` of the stars."""
    cluster = found.protoclusters.slice(row, 1).to_pylist()[0]
    lists = [found.lists[at] for at in np.searchsorted(found.rois, cluster["roi"])]
    listed = np.searchsorted(found.stars["source_id"], cluster["source_id"])
    on_line = np.array(cluster["on_line"], dtype=np.bool_)
    return LineView(
        patch=found.patch,
        theta_deg=cluster["theta"],
        r_deg=cluster["r"],
        sigma=cluster["sigma"],
        half_width_deg=half_width_deg(config),
        background=positions(found.stars, sample),
        listed=positions(found.stars, listed),
        on_line=on_line,
        hough=hough_map(config, found.patch, positions(found.stars, np.concatenate(lists))),
        regions=[region(found, roi) for roi in cluster["roi"]],
        width_masyr=config.regions.width_masyr,
        window_masyr=config.link.roi.window_masyr,
        ratios=ratios(config, found, cluster["roi"][0], lists[0], listed[on_line]),
        cutflow=found.cutflow,
    )


def half_width_deg(config: ScanConfig) -> float:
    """Half the width of the box that finds lines."""
    return config.link.lines.box[1] * config.link.lines.r_cell_deg / 2


def positions(stars: Table, rows: Ints) -> FramePositions:
    """Places and motions of some stars in the frame of their patch."""
    return FramePositions(*(np.asarray(stars[name])[rows] for name in FramePositions._fields))


def region(found: PatchFiles, roi: int) -> Region:
    """A region of interest by its row."""
    (one,) = found.lines.slice(roi, 1).to_pylist()
    return Region(*(one[name] for name in Region._fields))


def hough_map(config: ScanConfig, patch: Patch, stars: FramePositions) -> HoughMap:
    """Line significance of star lists put together, duplicates kept."""
    plane = hough_plane(config.link.lines, patch.evaluation_radius_deg)
    curves = hough_curves(plane, stars.phi, stars.lam)
    counts = box_counts(plane, curves, np.zeros(len(stars.phi), dtype=np.int64), 1)
    return HoughMap(plane.theta_deg, plane.r_deg, significance(plane, counts)[0])


def ratios(config: ScanConfig, found: PatchFiles, roi: int, chosen: Ints, on_line: Ints) -> Ratios:
    """Log R in the signal region of an ROI; `chosen` and `on_line` are rows of the stars."""
    one = region(found, roi)
    scan: Scan = "pm_phi" if one.scan == "pm_phi" else "pm_lam"
    scores = found.scores[scan]
    inside = np.asarray(scores["region"]) == one.region
    row = np.searchsorted(found.stars["source_id"], np.asarray(scores["source_id"])[inside])
    excess = np.asarray(found.stars[OTHER_PM[scan]])[row] - one.window
    return Ratios(
        np.asarray(scores["log_ratio"])[inside],
        (excess >= 0) & (excess < config.link.roi.window_masyr),
        np.isin(row, chosen),
        np.isin(row, on_line),
    )
