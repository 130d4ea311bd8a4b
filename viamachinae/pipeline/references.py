"""What a dossier holds a candidate against, from the files of its best patch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow.compute as pc

from viamachinae.config import Scan, ScanConfig
from viamachinae.inspect.references import Reference
from viamachinae.inspect.view import LineView, along_and_across
from viamachinae.link.hough import Floats, Ints, hough_plane
from viamachinae.link.lines import find_lines
from viamachinae.link.lists import roi_lists
from viamachinae.link.null_region import inject_line, null_region, roi_sizes
from viamachinae.pipeline.line_views import PatchFiles, hough_map, positions, ratios, region
from viamachinae.score.features import OTHER_PM
from viamachinae.score.seeds import seed_sequence
from viamachinae.sky import FramePositions


def references(
    config: ScanConfig, found: PatchFiles, view: LineView, rois: Ints, name: str
) -> list[Reference]:
    """The candidate's best region of interest, a null region, and one with a stream injected.

    The stream has as many stars as stand on the candidate's line in that region; they take the
    places of those of lowest score in the null region's list, with the colours, magnitudes and
    motions of the candidate's line stars, the motions moved to the null region.

    Parameters
    ----------
    view : LineView
        Of the best protocluster of the candidate `name`.
    rois : int64 array
        Rows of the candidate's regions of interest in this patch, among those of `found`.

    Returns
    -------
    list of Reference
        The candidate's alone where the patch has no null region.
    """
    seed = _row_of(found, view)
    scan: Scan = "pm_phi" if view.regions[0].scan == "pm_phi" else "pm_lam"
    rows = np.flatnonzero(np.asarray(pc.equal(found.lines["scan"], scan)))
    lines, scores = found.lines.take(rows), found.scores[scan]
    star = np.searchsorted(found.stars["source_id"], np.asarray(scores["source_id"]))
    other_pm = np.asarray(found.stars[OTHER_PM[scan]])[star]
    sizes = roi_sizes(np.asarray(scores["region"]), other_pm, lines, config.link.roi)
    at, own = np.searchsorted(rows, seed), np.flatnonzero(np.isin(rows, rois))
    best = found.lists[int(np.searchsorted(found.rois, seed))]
    mine = _reference(config, found, view, "Candidate", seed, best, int(sizes[at]))
    null = null_region(lines, sizes, int(at), own, view.width_masyr, view.window_masyr)
    if null is None:
        return [mine]
    (empty,) = roi_lists(
        found.stars, {scan: scores}, found.lines, rows[null : null + 1], config.link.roi
    )
    label = "Null region"
    nothing = _reference(config, found, view, label, int(rows[null]), empty, int(sizes[null]))
    rng = np.random.default_rng(seed_sequence(config.seed, "injected", name))
    return [mine, nothing, _injected(config, mine, nothing, rng)]


def _row_of(found: PatchFiles, view: LineView) -> int:
    """The row of the best region of interest of a view, its seed."""
    (row,) = (int(roi) for roi in found.rois if region(found, roi) == view.regions[0])
    return row


def _reference(
    config: ScanConfig,
    found: PatchFiles,
    view: LineView,
    label: str,
    roi: int,
    chosen: Ints,
    n_region: int,
) -> Reference:
    colour, mag = (
        np.asarray(found.stars[name], dtype=np.float64)[chosen]
        if name in found.stars.colnames
        else np.full(len(chosen), np.nan)
        for name in ("colour", "mag")
    )
    seen = replace(view, regions=[region(found, roi)])
    seen = _with_list(config, seen, positions(found.stars, chosen))
    inside = ratios(config, found, roi, chosen, chosen[seen.on_line])
    return Reference(label, replace(seen, ratios=inside), n_region, colour, mag)


def _with_list(config: ScanConfig, view: LineView, listed: FramePositions) -> LineView:
    """The view of a star list and its most significant line."""
    plane = hough_plane(config.link.lines, view.patch.evaluation_radius_deg)
    one_list = np.zeros(len(listed.phi), dtype=np.int64)
    line = find_lines(plane, listed.phi, listed.lam, one_list, 1)
    return replace(
        view,
        theta_deg=float(line.theta_deg[0]),
        r_deg=float(line.r_deg[0]),
        sigma=float(line.sigma[0]),
        listed=listed,
        on_line=line.on_line,
        hough=hough_map(config, view.patch, listed),
    )


def _injected(
    config: ScanConfig, mine: Reference, null: Reference, rng: np.random.Generator
) -> Reference:
    on_line = mine.view.on_line
    n = int(on_line.sum())
    line = FramePositions(*(values[on_line] for values in mine.view.listed))
    here, there = mine.view.regions[0], null.view.regions[0]
    shift = there.region - here.region, there.window - here.window
    stream = inject_line(
        line,
        along_and_across(mine.view)[1][on_line],
        mine.view.patch.evaluation_radius_deg,
        shift if here.scan == "pm_phi" else shift[::-1],
        rng,
    )

    def joined(below: Floats, above: Floats) -> Floats:
        # The list is sorted by score: its end makes room.
        return np.concatenate([below[: len(below) - n], above])

    listed = FramePositions(*map(joined, null.view.listed, stream))
    return Reference(
        "Injected stream",
        _with_list(config, null.view, listed),
        null.n_region,
        joined(null.colour, mine.colour[on_line]),
        joined(null.mag, mine.mag[on_line]),
    )
