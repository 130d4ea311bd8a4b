"""What the report draws of candidates, gathered from the files of patches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from astropy.table import Table

from viamachinae.config import ScanConfig
from viamachinae.inspect.references import Reference
from viamachinae.inspect.view import LineView
from viamachinae.pipeline.line_views import line_view, read_patch
from viamachinae.pipeline.member_columns import MemberColumns
from viamachinae.pipeline.references import references
from viamachinae.sky import Patch
from viamachinae.store.files import read_arrow
from viamachinae.store.run import RunFolder

# Stars drawn in grey behind a candidate: enough to show the density, few enough to see.
MAX_BACKGROUND = 4000


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
        All members; gets the columns of `MemberColumns`.
    lineage : Table
        By rank.
    """
    best = _best_protoclusters(run, lineage)
    names = list(dict.fromkeys(map(str, lineage["candidate"])))
    shown = set(names[: config.inspect.max_figures])
    columns = MemberColumns(config, members)
    seen = {}
    for patch_id in np.unique(lineage["patch"]):
        own = lineage[lineage["patch"] == patch_id]
        found = read_patch(config, run, patches[str(patch_id)], np.unique(np.asarray(own["roi"])))
        columns.take(found, own)
        fiducial = np.flatnonzero(found.stars["fiducial"])
        sample = fiducial[:: 1 + len(fiducial) // MAX_BACKGROUND]
        for name in shown:
            if best[name].patch == patch_id:
                rois = np.unique(np.asarray(own["roi"][own["candidate"] == name]))
                view = line_view(config, found, best[name].row, sample)
                beside = references(config, found, view, rois, name)
                seen[name] = Seen(view, found.stars[sample], beside)
    columns.end()
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
