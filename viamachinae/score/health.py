"""Whether what was trained can be believed, told by stars that it was not trained on."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import torch
from astropy.stats import mad_std
from astropy.table import Table
from numpy.typing import NDArray
from scipy.special import ndtr

from viamachinae.config import HealthConfig
from viamachinae.flows.rows import Rows
from viamachinae.score.evaluation import Device, RegionStars, choose_device, engine_to_score
from viamachinae.score.method import EVALUATE
from viamachinae.score.patch_stars import PatchStars
from viamachinae.score.regions import SignalRegion
from viamachinae.score.trained import DENSITIES, Density, Trained

Array = NDArray[np.float64]

# Held-out stars that a flow is judged by, at most: they tell a distance of 0.01.
MOST = 20_000
# A sample of a uniform number is farther from it than this over the root of its size in 1 % of
# cases (Kolmogorov).
CHANCE = 1.63
# Standard errors that the median of ln R of few stars is allowed beyond its limit (ours).
SIGMAS = 3.0
NO_LIKELIHOOD = "no finite likelihood"


def health_table(
    trained: Trained, stars: PatchStars, config: HealthConfig, device: Device = "auto"
) -> Table:
    """How well the held-out stars of each region bear out what was learned.

    Parameters
    ----------
    trained : Trained
    stars : PatchStars
        Those trained on.
    config : HealthConfig
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    astropy.table.Table
        One row a training of a region, as in `trained.regions`: ``region`` (lower edge, mas/yr),
        ``retraining``; for both densities ``pit_sr``,
        ``pit_cr``, the largest distance of a feature's probability integral transform from
        uniform (Kolmogorov's), and ``outside_sr``, ``outside_cr``, the share of stars outside
        the box of a spline; ``median_log_ratio`` of the region's stars, nearly all of which are
        background; ``problem``, empty where there is none. NaN where a method has no such thing.
    """
    failed = trained.failed_rows()
    where = choose_device(device)
    rows = []
    for row, region in enumerate(trained.regions):
        found = dict.fromkeys(_NAMES, np.nan)
        problem = NO_LIKELIHOOD
        if not failed[row]:
            limits = {}
            for density in trained.densities:
                pit, outside, n = _of_flow(trained, row, density, stars, where)
                found[f"pit_{density}"], found[f"outside_{density}"] = pit, outside
                limits[f"pit_{density}"] = config.max_pit_distance + CHANCE / np.sqrt(n)
                limits[f"outside_{density}"] = config.max_outside
            median, error = _median_log_ratio(trained, row, region, stars, where)
            limits["median_log_ratio"] = config.max_median_log_ratio + SIGMAS * error
            found["median_log_ratio"] = median
            problem = _problem(found, limits)
        rows.append((region.lower, region.retraining, *found.values(), problem))
    table = Table(rows=rows, names=["region", "retraining", *_NAMES, "problem"])
    table["region"].unit = u.mas / u.yr
    return table


_NAMES = [*(f"{what}_{name}" for name in DENSITIES for what in ("pit", "outside"))]
_NAMES.append("median_log_ratio")


def pit_distance(z: Array) -> float:
    """Largest distance of a feature of latent points from the standard normal.

    Parameters
    ----------
    z : ndarray of shape (N, d)
        An autoregressive flow makes each feature normal given those before it.

    Returns
    -------
    float
        The Kolmogorov-Smirnov statistic of the worst feature, 0 to 1.
    """
    share = np.sort(ndtr(z), axis=0)
    step = np.arange(len(z) + 1)[:, None] / len(z)
    return float(max((step[1:] - share).max(), (share - step[:-1]).max()))


def thinning(n: int) -> slice:
    """At most `MOST` of `n` stars, evenly: they stand in the order of their proper motion."""
    return slice(None, None, max(1, -(-n // MOST)))


@torch.no_grad()
def _of_flow(
    trained: Trained, row: int, density: Density, stars: PatchStars, device: torch.device
) -> tuple[float, float, int]:
    """Distance, share outside and number of held-out stars, averaged over snapshots."""
    region, tested = trained.regions[row], stars.held_out
    first, last = np.searchsorted(stars.pm[tested], [region.lower, region.upper]).tolist()
    points = stars.scaled[tested].astype(np.float64)
    own = np.concatenate(list(Rows(first, last, density == "cr").parts(points)))
    own = own[thinning(len(own))]
    stack = trained.members(row, density, engine_to_score(trained, device).stack).to(device)
    shared = torch.from_numpy(own).float().to(device).expand(stack.n_models, -1, -1)
    z = stack.forward(shared[..., :-1], shared[..., -1:])[0].double().cpu().numpy()
    outside = float(stack.share_outside(shared[..., :-1], shared[..., -1:]).mean())
    return float(np.mean([pit_distance(one) for one in z])), outside, len(own)


def _median_log_ratio(
    trained: Trained, row: int, region: SignalRegion, stars: PatchStars, device: torch.device
) -> tuple[float, float]:
    """Median of ln R and its standard error: near zero where the score is a ratio to all stars.

    R-ANODE's is one to the signal's; it has none.
    """
    if trained.method == "r_anode":
        return float("nan"), float("nan")
    inside = stars.rows(region.lower, region.upper)
    own = np.flatnonzero(stars.held_out[inside]) + inside.start
    own = own[thinning(len(own))]
    points = torch.from_numpy(stars.scaled[own]).to(device)
    given = RegionStars(points[:, :-1], points[:, -1:], stars.source_id[own])
    ratio = EVALUATE[trained.method](trained, row, given).ratio
    # That of a Gaussian sample: sqrt(pi / 2) times that of the mean.
    error = np.sqrt(np.pi / 2 / len(ratio)) * mad_std(ratio)
    return float(np.median(ratio)), float(error)


def _problem(found: dict[str, float], limits: dict[str, float]) -> str:
    """What is beyond its limit, in words; NaN never is."""
    return ", ".join(
        f"{name} is {found[name]:.2g} (at most {limit:.2g})"
        for name, limit in limits.items()
        if abs(found[name]) > limit
    )
