"""What the report shows of candidates beyond their tables, gathered from the files of patches."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from astropy.table import Column, Table

from viamachinae.config import ArchiveQuery, Scan, ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.inspect.view import HoughMap, LineView, Ratios, Region
from viamachinae.link.hough import Ints, box_counts, hough_curves, hough_plane
from viamachinae.link.lines import significance
from viamachinae.link.lists import roi_lists
from viamachinae.pipeline.sources import open_source
from viamachinae.score.features import OTHER_PM
from viamachinae.sky import FramePositions, Patch
from viamachinae.store.files import read_arrow, read_json, read_table
from viamachinae.store.run import RunFolder

logger = logging.getLogger("viamachinae.pipeline")

# Stars drawn in grey behind a candidate: enough to show the density, few enough to see.
MAX_BACKGROUND = 4000
# Asked anew of the catalogue, as the stages do without them.
ASTROMETRY = ("ra_error", "dec_error", "parallax", "parallax_error", "pmra_error", "pmdec_error")


class Seen(NamedTuple):
    """What a dossier shows of a candidate: its line, and fiducial stars of its best patch."""

    view: LineView
    background: Table


class _Best(NamedTuple):
    """The most significant protocluster of a candidate: its patch and its row there."""

    patch: str
    row: int


class _Patch(NamedTuple):
    """The files of a patch, and the star lists (rows of `stars`) of its ROIs `rois`."""

    patch: Patch
    stars: Table
    scores: Mapping[Scan, pa.Table]
    lines: pa.Table
    protoclusters: pa.Table
    rois: Ints
    lists: Ints
    cutflow: list[dict[str, object]]


def gather_views(
    config: ScanConfig, run: RunFolder, patches: Mapping[str, Patch], members: Table, lineage: Table
) -> dict[str, Seen]:
    """What is seen of the best candidates; the members get what their patches hold of them.

    Each patch of a candidate is read once.

    Parameters
    ----------
    members : Table
        All members; gets the columns colour and mag (as the scan took them), those of
        `ASTROMETRY` that the catalogue has, regions and n_regions.
    lineage : Table
        By rank.
    """
    best = _best_protoclusters(run, lineage)
    names = list(dict.fromkeys(map(str, lineage["candidate"])))
    shown = set(names[: config.inspect.max_figures])
    regions: list[list[str]] = [[] for _ in range(len(members))]
    for name in ("colour", "mag"):
        members[name] = Column(np.full(len(members), np.nan), unit="mag")
    seen = {}
    for patch_id in np.unique(lineage["patch"]):
        own = lineage[lineage["patch"] == patch_id]
        found = _read(config, run, patches[str(patch_id)], np.unique(np.asarray(own["roi"])))
        _add_columns(members, found.stars, {"colour", "mag"} & set(found.stars.colnames))
        _add_astrometry(config, found.patch, members)
        _add_regions(found, own, members, regions)
        fiducial = np.flatnonzero(found.stars["fiducial"])
        sample = fiducial[:: 1 + len(fiducial) // MAX_BACKGROUND]
        for name in shown:
            if best[name].patch == patch_id:
                view = _line_view(config, found, best[name].row, sample)
                seen[name] = Seen(view, found.stars[sample])
    members["n_regions"] = np.array([len(one) for one in regions], dtype=np.int64)
    members["regions"] = np.array([" ".join(one) for one in regions], dtype=np.str_)
    return seen


def _best_protoclusters(run: RunFolder, lineage: Table) -> dict[str, _Best]:
    best: dict[str, tuple[float, _Best]] = {}
    for patch in np.unique(lineage["patch"]):
        table = read_arrow(run.protoclusters(str(patch)), ["protocluster", "sigma"])
        number, sigma = (np.asarray(table[name]) for name in ("protocluster", "sigma"))
        own = lineage[lineage["patch"] == patch]
        for candidate in np.unique(own["candidate"]):
            mine = np.flatnonzero(
                np.isin(number, own["protocluster"][own["candidate"] == candidate])
            )
            row = int(mine[np.argmax(sigma[mine])])
            if sigma[row] > best.get(str(candidate), (-np.inf,))[0]:
                best[str(candidate)] = float(sigma[row]), _Best(str(patch), row)
    return {name: found for name, (_, found) in best.items()}


def _read(config: ScanConfig, run: RunFolder, patch: Patch, rois: Ints) -> _Patch:
    stars, lines = read_table(run.stars(patch.id)), read_arrow(run.lines(patch.id))
    columns = ["source_id", "region", "log_ratio"]
    scores: dict[Scan, pa.Table] = {
        scan: read_arrow(run.scores(patch.id, scan), columns)
        for scan in config.regions.scans
        if run.scores(patch.id, scan).is_file()
    }
    return _Patch(
        patch,
        stars,
        scores,
        lines,
        read_arrow(run.protoclusters(patch.id)),
        rois,
        roi_lists(stars, scores, lines, rois, config.link.roi),
        read_json(run.cutflow(patch.id))["rules"],
    )


def _add_columns(members: Table, stars: Table, names: set[str]) -> None:
    """Copy columns of stars, sorted by source_id, to the members among them."""
    if not len(stars):
        return
    row = np.searchsorted(stars["source_id"], members["source_id"])
    row[row == len(stars)] = 0
    here = stars["source_id"][row] == members["source_id"]
    for name in sorted(names):
        if name not in members.colnames:
            members[name] = np.full(len(members), np.nan)
            members[name].unit = stars[name].unit
        members[name][here] = stars[name][row[here]]


def _add_astrometry(config: ScanConfig, patch: Patch, members: Table) -> None:
    if isinstance(config.query, ArchiveQuery):
        logger.info("members get no errors: the archive is not asked again for the report")
        return
    try:
        source = open_source(config)
        names = {name for name in ASTROMETRY if name in source.columns()}
        if names:
            columns = ["source_id", *sorted(names)]
            stars = source.stars(patch.ra, patch.dec, patch.radius_deg, columns)
            _add_columns(members, stars, names)
    except BadInputError as error:
        logger.warning("members get neither parallaxes nor errors: %s", error)


def _add_regions(found: _Patch, own: Table, members: Table, regions: list[list[str]]) -> None:
    """Name, for each member, the ROIs of its candidate in whose lists it stands."""
    ids = np.asarray(found.stars["source_id"])
    for candidate in np.unique(own["candidate"]):
        rows = np.flatnonzero(members["candidate"] == candidate)
        rois = own[own["candidate"] == candidate]
        for roi in rois[np.unique(np.asarray(rois["roi"]), return_index=True)[1]]:
            (at,) = np.flatnonzero(found.rois == roi["roi"])
            name = f"{found.patch.id}/{roi['scan']}/{roi['region']:g}/{roi['window']:g}"
            for row in rows[np.isin(members["source_id"][rows], ids[found.lists[at]])]:
                regions[row].append(name)


def _line_view(config: ScanConfig, found: _Patch, row: int, sample: Ints) -> LineView:
    cluster = found.protoclusters.slice(row, 1).to_pylist()[0]
    lists = found.lists[np.searchsorted(found.rois, cluster["roi"])]
    seed = found.lines.slice(cluster["roi"][0], 1).to_pylist()[0]
    listed = np.searchsorted(found.stars["source_id"], cluster["source_id"])
    on_line = np.array(cluster["on_line"], dtype=np.bool_)
    names = ("scan", "region", "window", "sigma")
    return LineView(
        patch=found.patch,
        theta_deg=cluster["theta"],
        r_deg=cluster["r"],
        sigma=cluster["sigma"],
        half_width_deg=half_width_deg(config),
        background=_positions(found.stars, sample),
        listed=_positions(found.stars, listed),
        on_line=on_line,
        hough=_hough_map(config, found, lists),
        regions=[
            Region(*(one[name] for name in names))
            for one in found.lines.take(cluster["roi"]).to_pylist()
        ],
        width_masyr=config.regions.width_masyr,
        window_masyr=config.link.roi.window_masyr,
        ratios=_ratios(config, found, seed, lists[0], listed[on_line]),
        cutflow=found.cutflow,
    )


def half_width_deg(config: ScanConfig) -> float:
    """Half the width of the box that finds lines."""
    return config.link.lines.box[1] * config.link.lines.r_cell_deg / 2


def _positions(stars: Table, rows: Ints) -> FramePositions:
    return FramePositions(*(np.asarray(stars[name])[rows] for name in FramePositions._fields))


def _hough_map(config: ScanConfig, found: _Patch, lists: Ints) -> HoughMap:
    """Of all star lists of a protocluster put together, duplicates kept."""
    plane = hough_plane(config.link.lines, found.patch.evaluation_radius_deg)
    stars = _positions(found.stars, lists.ravel())
    curves = hough_curves(plane, stars.phi, stars.lam)
    counts = box_counts(plane, curves, np.zeros(lists.size, dtype=np.int64), 1)
    return HoughMap(plane.theta_deg, plane.r_deg, significance(plane, counts)[0])


def _ratios(
    config: ScanConfig, found: _Patch, seed: Mapping[str, object], chosen: Ints, on_line: Ints
) -> Ratios:
    scan: Scan = "pm_phi" if seed["scan"] == "pm_phi" else "pm_lam"
    scores = found.scores[scan]
    inside = np.asarray(scores["region"]) == seed["region"]
    row = np.searchsorted(found.stars["source_id"], np.asarray(scores["source_id"])[inside])
    excess = np.asarray(found.stars[OTHER_PM[scan]])[row] - seed["window"]
    return Ratios(
        np.asarray(scores["log_ratio"])[inside],
        (excess >= 0) & (excess < config.link.roi.window_masyr),
        np.isin(row, chosen),
        np.isin(row, on_line),
    )
