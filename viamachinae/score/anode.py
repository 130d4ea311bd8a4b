"""ANODE: the ratio of two learned densities ranks stars (Nachman & Shih 2020, 2001.04990).

In each signal region, one flow learns p(x | condition) from the region's stars and another
from all others, whose density it carries into the region by its condition. A stream is in
the first and not in the second.
"""

from __future__ import annotations

from collections.abc import Sequence

from astropy.table import Table

from viamachinae.config import AnodeConfig, TrainConfig
from viamachinae.flows.progress import Progress
from viamachinae.flows.resume import Keeper
from viamachinae.score.densities import fit_densities
from viamachinae.score.evaluation import RegionScores, RegionStars, log_density
from viamachinae.score.patch_stars import PatchStars
from viamachinae.score.regions import SignalRegion
from viamachinae.score.trained import DENSITIES, Trained


def train(
    stars: PatchStars,
    regions: Sequence[SignalRegion],
    config: TrainConfig,
    _options: AnodeConfig,
    on_step: Progress | None = None,
    keeper: Keeper | None = None,
) -> tuple[Trained, Table]:
    """Fit both densities of every region; see `method.train`."""
    return fit_densities(stars, regions, DENSITIES, config, on_step, keeper)


def evaluate(trained: Trained, row: int, stars: RegionStars) -> RegionScores:
    """R = p_SR / p_CR; see `method.score`."""
    sr, cr = (log_density(trained, row, name, stars.z, stars.given) for name in DENSITIES)
    return RegionScores(sr, cr, sr - cr)
