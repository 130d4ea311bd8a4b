"""The signal regions that slide over the scanned proper motion of a patch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from viamachinae.config import RegionsConfig, Scan


@dataclass(frozen=True)
class SignalRegion:
    """Stars with a scanned proper motion in [lower, upper); the rest are its control region.

    Attributes
    ----------
    scan : {"pm_lam", "pm_phi"}
        The scanned proper motion.
    lower, upper : float
        Edges, mas/yr.
    n_signal, n_control : int
        Stars of the patch in the signal region and in the control region.
    retraining : int
        Which of several independent trainings this is; the first has the seeds that a region
        trained once has.
    """

    scan: Scan
    lower: float
    upper: float
    n_signal: int
    n_control: int
    retraining: int = 0

    def contains(self, pm: ArrayLike) -> NDArray[np.bool_]:
        """Which of the proper motions (mas/yr, shape (N,)) lie in the signal region."""
        pm = np.asarray(pm)
        inside: NDArray[np.bool_] = (pm >= self.lower) & (pm < self.upper)
        return inside


def all_regions(pm: ArrayLike, scan: Scan, config: RegionsConfig) -> list[SignalRegion]:
    """Every region that holds a star, in order, whatever the number of its stars.

    Parameters
    ----------
    pm : array of shape (N,)
        The scanned proper motions of the stars to train on, mas/yr, finite.
    scan : {"pm_lam", "pm_phi"}
    config : RegionsConfig
        Lower edges are the integer multiples of its stride, so that patches share them (VM1);
        a region lies wholly within its range, where it has one.
    """
    pm = np.sort(np.asarray(pm, dtype=np.float64))
    if len(pm) == 0:
        return []
    stride, width = config.stride_masyr, config.width_masyr
    first = int(np.floor((pm[0] - width) / stride))
    # Rounded, so that an edge reads 0.3 and not 0.30000000000000004.
    edges = np.round(np.arange(first, int(np.floor(pm[-1] / stride)) + 1) * stride, 9)
    if config.range_masyr is not None:
        low, high = config.range_masyr
        edges = edges[(edges >= low) & (np.round(edges + width, 9) <= high)]
    regions = []
    for lower in edges:
        upper = float(np.round(lower + width, 9))
        inside = int(np.diff(np.searchsorted(pm, [lower, upper]))[0])
        if inside:
            regions.append(SignalRegion(scan, float(lower), upper, inside, len(pm) - inside))
    return regions


def signal_regions(pm: ArrayLike, scan: Scan, config: RegionsConfig) -> list[SignalRegion]:
    """The regions of `all_regions` with a workable number of stars.

    The signal region holds from ``min_stars`` to ``max_stars``, and the control region no
    fewer than ``min_stars``, for it is learned from just as well.
    """
    return [
        region
        for region in all_regions(pm, scan, config)
        if config.min_stars <= region.n_signal <= config.max_stars
        and region.n_control >= config.min_stars
    ]


def retrained(regions: Sequence[SignalRegion], times: int) -> list[SignalRegion]:
    """Each region so many times, once for each of its trainings."""
    return [replace(region, retraining=n) for region in regions for n in range(times)]


def why_none(regions: Sequence[SignalRegion], config: RegionsConfig) -> str:
    """One sentence on why `signal_regions` kept none of `all_regions`."""
    if not regions:
        return "no star lies in the configured range of proper motion"
    few = sum(region.n_signal < config.min_stars for region in regions)
    many = sum(region.n_signal > config.max_stars for region in regions)
    fullest = max(region.n_signal for region in regions)
    return (
        f"of {len(regions)} signal regions in {regions[0].scan}, {few} hold fewer than "
        f"{config.min_stars} stars (the fullest holds {fullest}), {many} more than "
        f"{config.max_stars}, and the others have too small a control region"
    )
