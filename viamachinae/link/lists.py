"""The star lists of regions of interest, taken again from the scores for whoever looks closer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from astropy.table import Table

from viamachinae.config import RoiConfig, Scan
from viamachinae.link.hough import Ints
from viamachinae.link.roi import choose_stars, rows_of
from viamachinae.score.features import OTHER_PM


def roi_lists(
    stars: Table, scores: Mapping[Scan, pa.Table], lines: pa.Table, rois: Ints, config: RoiConfig
) -> list[Ints]:
    """The stars of regions of interest of a patch, as `regions_of_interest` chose them.

    Parameters
    ----------
    stars : astropy.table.Table
        Stars of the patch: source_id (int64), pm_phi, pm_lam (mas/yr).
    scores : mapping of scan to pyarrow.Table
        source_id, region (lower edge, mas/yr) and log_ratio.
    lines : pyarrow.Table
        Of `roi.LINES_SCHEMA`; at least scan, region and window.
    rois : int64 array of shape (n,)
        Rows of `lines`.
    config : RoiConfig
        That of the search.

    Returns
    -------
    list of n int64 arrays
        Row in `stars` of each star of a region, best first.

    Raises
    ------
    BadInputError
        If the scores name a star that `stars` lacks.
    ValueError
        If the scores do not give one of these regions.
    """
    scan = np.array(lines["scan"].to_pylist(), dtype=np.str_)[rois]
    region, window = (np.asarray(lines[name])[rois] for name in ("region", "window"))
    chosen = dict[int, Ints]()
    for name, table in scores.items():
        edges, source_id, log_ratio = (
            np.asarray(table[column]) for column in ("region", "source_id", "log_ratio")
        )
        for edge in np.unique(region[scan == name]):
            inside = edges == edge
            ids = source_id[inside]
            row = rows_of(stars, ids, f"scores.parquet of the scan {name}")
            other_pm = np.asarray(stars[OTHER_PM[name]], dtype=np.float64)[row]
            windows, best = choose_stars(other_pm, log_ratio[inside], ids, config)
            for here in np.flatnonzero((scan == name) & (region == edge)):
                chosen[int(here)] = row[best[windows.index(window[here])]]
    return [chosen[number] for number in range(len(rois))]
