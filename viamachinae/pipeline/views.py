"""What the report shows of candidates beyond their tables, gathered from the files of patches."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from astropy.table import Column, Table

from viamachinae.config import ArchiveQuery, ScanConfig
from viamachinae.errors import BadInputError, UnprocessableError
from viamachinae.inspect.references import Reference
from viamachinae.inspect.view import LineView
from viamachinae.pipeline.line_views import PatchFiles, line_view, read_patch
from viamachinae.pipeline.references import references
from viamachinae.pipeline.sources import open_source
from viamachinae.score.method import ratio_columns
from viamachinae.sky import Patch
from viamachinae.store.files import read_arrow
from viamachinae.store.run import RunFolder

logger = logging.getLogger("viamachinae.pipeline")

# Stars drawn in grey behind a candidate: enough to show the density, few enough to see.
MAX_BACKGROUND = 4000
# Asked anew of the catalogue, as the stages do without them.
ASTROMETRY = (
    *("ra_error", "dec_error", "parallax", "parallax_error"),
    *("pmra_error", "pmdec_error", "pmra_pmdec_corr"),
)


class Seen(NamedTuple):
    """What a dossier shows of a candidate, from its best patch.

    Its line, fiducial stars, and what it is held against.
    """

    view: LineView
    background: Table
    references: list[Reference]


class _Best(NamedTuple):
    """The most significant protocluster of a candidate: its patch and its row there."""

    patch: str
    row: int


def gather_views(
    config: ScanConfig, run: RunFolder, patches: Mapping[str, Patch], members: Table, lineage: Table
) -> dict[str, Seen]:
    """What is seen of the best candidates; the members get what their patches hold of them.

    Each patch of a candidate is read once.

    Parameters
    ----------
    members : Table
        All members; gets the columns colour and mag (as the scan took them), those of
        `ASTROMETRY` that the catalogue has, regions and n_regions, and the scores of each
        training where there are several.
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
        found = read_patch(config, run, patches[str(patch_id)], np.unique(np.asarray(own["roi"])))
        _add_columns(members, found.stars, {"colour", "mag"} & set(found.stars.colnames))
        _add_astrometry(config, found.patch, members)
        _add_regions(found, own, members, regions)
        for name in ratio_columns(config.train.retrainings):
            _add_scores(found, own, members, name)
        fiducial = np.flatnonzero(found.stars["fiducial"])
        sample = fiducial[:: 1 + len(fiducial) // MAX_BACKGROUND]
        for name in shown:
            if best[name].patch == patch_id:
                rois = np.unique(np.asarray(own["roi"][own["candidate"] == name]))
                view = line_view(config, found, best[name].row, sample)
                beside = references(config, found, view, rois, name)
                seen[name] = Seen(view, found.stars[sample], beside)
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
            # Members are scored stars; a hair more, for distances are rounded in another way.
            radius_deg = min(patch.radius_deg, patch.evaluation_radius_deg + 0.001)
            stars = source.stars(patch.ra, patch.dec, radius_deg, columns)
            _add_columns(members, stars, names)
    except (BadInputError, UnprocessableError) as error:
        logger.warning("members get neither parallaxes nor errors: %s", error)


def _add_scores(found: PatchFiles, own: Table, members: Table, name: str) -> None:
    """Give each member its largest score of one training in its candidate's signal regions."""
    if name not in members.colnames:
        members[name] = Column(
            np.full(len(members), np.nan),
            description=f"As log_ratio, of training {name.removeprefix('log_ratio_')} alone",
        )
    for candidate, scan, region in set(own["candidate", "scan", "region"].iterrows()):
        scores = found.scores[scan]
        inside = np.asarray(scores["region"]) == region
        ids, values = (np.asarray(scores[column])[inside] for column in ("source_id", name))
        rows = np.flatnonzero(members["candidate"] == candidate)
        at = np.searchsorted(ids, members["source_id"][rows])
        at[at == len(ids)] = 0
        here = ids[at] == members["source_id"][rows]
        members[name][rows[here]] = np.fmax(members[name][rows[here]], values[at[here]])


def _add_regions(found: PatchFiles, own: Table, members: Table, regions: list[list[str]]) -> None:
    """Name, for each member, the ROIs of its candidate in whose lists it stands."""
    ids = np.asarray(found.stars["source_id"])
    for candidate in np.unique(own["candidate"]):
        rows = np.flatnonzero(members["candidate"] == candidate)
        rois = own[own["candidate"] == candidate]
        for roi in rois[np.unique(np.asarray(rois["roi"]), return_index=True)[1]]:
            at = int(np.searchsorted(found.rois, roi["roi"]))
            name = f"{found.patch.id}/{roi['scan']}/{roi['region']:g}/{roi['window']:g}"
            for row in rows[np.isin(members["source_id"][rows], ids[found.lists[at]])]:
                regions[row].append(name)
