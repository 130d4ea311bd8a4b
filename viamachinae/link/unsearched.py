"""Stars that were scored but lie in no region of interest."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from astropy.table import Table

from viamachinae.config import RoiConfig, Scan
from viamachinae.link.hough import Ints
from viamachinae.link.roi import rows_of
from viamachinae.score.features import OTHER_PM


def unsearched(
    stars: Table, scores: Mapping[Scan, pa.Table], lines: pa.Table, config: RoiConfig
) -> tuple[Ints, int]:
    """Stars that no region of interest looks at, for no window of theirs holds stars enough.

    A stream that moves as few stars do is among them: it is missed however clear it is.

    Parameters
    ----------
    stars, scores
        As `viamachinae.link.roi.regions_of_interest` takes them.
    lines : pyarrow.Table
        The regions of interest that it gave.
    config : RoiConfig

    Returns
    -------
    int64 array of shape (m,)
        Their ``source_id``, sorted.
    int
        How many stars were scored at all.
    """
    scored, searched = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    scans = np.asarray(lines["scan"].to_pylist(), dtype=str)
    regions, windows = (lines[name].to_numpy() for name in ("region", "window"))
    for scan, table in scores.items():
        source_id = np.asarray(table["source_id"], dtype=np.int64)
        row = rows_of(stars, source_id, f"scores.parquet of the scan {scan}")
        pm = np.asarray(stars[OTHER_PM[scan]], dtype=np.float64)[row]
        region = np.asarray(table["region"], dtype=np.float64)
        covered = np.zeros(len(pm), dtype=np.bool_)
        for edge, window in zip(regions[scans == scan], windows[scans == scan], strict=True):
            covered |= (region == edge) & (pm >= window) & (pm < window + config.window_masyr)
        scored.append(source_id)
        searched.append(source_id[covered])
    every = np.unique(np.concatenate(scored))
    return np.setdiff1d(every, np.concatenate(searched)), len(every)
