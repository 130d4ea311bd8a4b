"""What a region of interest is held against: one like it without a line, and an injected one.

Both are illustrations for the eye (ours); significances are calibrated elsewhere.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from astropy.stats import mad_std

from viamachinae.config import RoiConfig
from viamachinae.link.hough import Floats, Ints
from viamachinae.sky import FramePositions

# In a uniform disc of 100 stars the most significant line stays below this in 99 % (ours).
MAX_SIGMA = 4.8


def roi_sizes(region_of_row: Floats, other_pm: Floats, lines: pa.Table, config: RoiConfig) -> Ints:
    """Fiducial stars in each region of interest of a scan, shape (n_rois,).

    Parameters
    ----------
    region_of_row, other_pm : float64 arrays of shape (n_rows,)
        Of each row of the scan's scores: lower edge of its signal region, and the star's other
        proper motion, mas/yr.
    lines : pyarrow.Table
        Of `roi.LINES_SCHEMA`, of this scan alone.
    config : RoiConfig
        Width of the windows.
    """
    region, window = (np.asarray(lines[name]) for name in ("region", "window"))
    sizes = np.zeros(len(region), dtype=np.int64)
    for edge in np.unique(region):
        pm = np.sort(other_pm[region_of_row == edge])
        here = region == edge
        ends = np.searchsorted(pm, [window[here], window[here] + config.window_masyr])
        sizes[here] = ends[1] - ends[0]
    return sizes


def null_region(
    lines: pa.Table, sizes: Ints, seed: int, own: Ints, width_masyr: float, window_masyr: float
) -> int | None:
    """The region of interest nearest to `seed` in number of stars that holds no line.

    Its significance is below `MAX_SIGMA`, it shares no proper motion with `seed`, and it is not
    among the candidate's `own`.

    Parameters
    ----------
    lines : pyarrow.Table
        Of `roi.LINES_SCHEMA`, of one scan alone.
    sizes : int64 array of shape (n_rois,)
        From `roi_sizes`.
    seed : int
        Row of the candidate's best region of interest.
    own : int64 array
        Rows of all of its regions of interest.
    width_masyr, window_masyr : float
        Widths of signal region and window.

    Returns
    -------
    int or None
        A row of `lines`; None where there is no such region.
    """
    region, window, sigma = (np.asarray(lines[name]) for name in ("region", "window", "sigma"))
    apart = np.abs(region - region[seed]) >= width_masyr
    apart |= np.abs(window - window[seed]) >= window_masyr
    allowed = apart & (sigma < MAX_SIGMA)
    allowed[own] = False
    rows = np.flatnonzero(allowed)
    if not len(rows):
        return None
    return int(rows[np.argmin(np.abs(sizes[rows] - sizes[seed]))])


def inject_line(
    line: FramePositions,
    across_deg: Floats,
    radius_deg: float,
    shift_masyr: tuple[float, float],
    rng: np.random.Generator,
) -> FramePositions:
    """A stream as rich, as wide and as hot as a line, on a random line of the disc.

    Parameters
    ----------
    line : FramePositions
        The stars of the line, shape (n,): their motions are taken, and their number.
    across_deg : float64 array of shape (n,)
        Their distances from the line.
    radius_deg : float
        Of the disc; the line passes its centre within half of that.
    shift_masyr : tuple of float
        Added to (pm_phi, pm_lam).
    rng : numpy.random.Generator
        Draws the line, and places evenly along it and normal across it.
    """
    n = len(line.phi)
    theta, r = rng.uniform(0, np.pi), rng.uniform(-radius_deg / 2, radius_deg / 2)
    across = r + mad_std(across_deg) * rng.standard_normal(n)
    across = np.clip(across, -radius_deg, radius_deg)
    along = np.sqrt(radius_deg**2 - across**2) * rng.uniform(-1, 1, n)
    sin, cos = np.sin(theta), np.cos(theta)
    return FramePositions(
        along * cos + across * sin,
        along * sin - across * cos,
        line.pm_phi + shift_masyr[0],
        line.pm_lam + shift_masyr[1],
    )
