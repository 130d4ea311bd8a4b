"""The score that was chosen: what it trains, and how it scores stars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import astropy.units as u
import numpy as np
import torch
from astropy.table import Table
from numpy.typing import NDArray

from viamachinae.config import (
    AnodeConfig,
    CathodeConfig,
    CwolaConfig,
    RAnodeConfig,
    ScoreConfig,
    TrainConfig,
)
from viamachinae.flows.progress import Progress
from viamachinae.flows.resume import Keeper
from viamachinae.score import anode, cathode, cwola, r_anode
from viamachinae.score.columns import ratio_columns
from viamachinae.score.evaluation import Device, RegionStars, choose_device
from viamachinae.score.patch_stars import PatchStars
from viamachinae.score.regions import SignalRegion, retrained
from viamachinae.score.trained import Trained

Array = NDArray[np.float64]

EVALUATE = {
    "anode": anode.evaluate,
    "cathode": cathode.evaluate,
    "r_anode": r_anode.evaluate,
    "cwola": cwola.evaluate,
}


def train(
    stars: PatchStars,
    regions: Sequence[SignalRegion],
    config: TrainConfig,
    method: ScoreConfig,
    on_step: Progress | None = None,
    keeper: Keeper | None = None,
) -> tuple[Trained, Table]:
    """Train all that a score needs, for every signal region of one patch and scan.

    Parameters
    ----------
    stars : PatchStars
    regions : sequence of SignalRegion
        Of the stars' scan, at least one.
    config : TrainConfig
        Of the flows.
    method : ScoreConfig
    on_step : callable, optional
        Called about twice a second with the work done and to do in all.
    keeper : Keeper, optional
        Keeps the state of the training now and then, and has it go on from there.

    Returns
    -------
    trained : Trained
    history : astropy.table.Table
        One row a model and epoch; see `history.history_table`.

    Raises
    ------
    UnprocessableError
        If a region is too small to hold stars out.
    BadInputError
        If CUDA or an engine is asked for and absent.
    """
    regions = retrained(regions, config.retrainings)
    match method:
        case AnodeConfig():
            return anode.train(stars, regions, config, method, on_step, keeper)
        case CathodeConfig():
            return cathode.train(stars, regions, config, method, on_step, keeper)
        case RAnodeConfig():
            return r_anode.train(stars, regions, config, method, on_step, keeper)
        case CwolaConfig():
            return cwola.train(stars, regions, config, method, on_step, keeper)


def score(
    trained: Trained,
    x: Array,
    condition: Array,
    source_id: NDArray[np.int64],
    device: Device = "auto",
) -> Table:
    """Score stars inside each signal region.

    Parameters
    ----------
    trained : Trained
    x : ndarray of shape (N, d), float64
        Features of the stars to score, natural units.
    condition : ndarray of shape (N, 1), float64
        Their scanned proper motion, mas/yr.
    source_id : ndarray of shape (N,), int64
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    astropy.table.Table
        One row a (region, star), sorted by region, then ``source_id``: ``source_id``,
        ``region`` (lower edge, mas/yr), ``log_sr``, ``log_cr`` (ln of the density in natural
        units, Jacobian included; NaN where the method has none) and ``log_ratio``, ln of the
        score: means over the trainings of the region. Of a region trained more than once
        ``log_ratio_0`` and so on are those of each training. A score is -inf for a star outside
        the box of the scaling or with a missing feature, and NaN of a training that failed.
        Regions without a training are left out; `Trained.failed_regions` names them.

    Raises
    ------
    BadInputError
        If CUDA is asked for and absent, or a star has a proper motion beyond all of training.
    """
    where = choose_device(device)
    order = np.argsort(source_id, kind="stable")
    x, condition, source_id = x[order], condition[order], source_id[order]
    failed, times = trained.failed_rows(), trained.retrainings
    parts = [_empty_scores(times)]
    for first in range(0, len(trained.regions), times):
        region = trained.regions[first]
        inside = np.flatnonzero(region.contains(condition[:, 0]))
        rows = range(first, first + times)
        if failed[rows].all() or len(inside) == 0:
            continue
        z, given, log_det = trained.scale(x[inside], condition[inside])
        stars = RegionStars(
            torch.from_numpy(z).to(where, torch.float32),
            torch.from_numpy(given).to(where, torch.float32),
            source_id[inside],
        )
        found = _over_trainings(trained, rows, failed, stars)
        # A star outside the trained box has no density, and must not rank above any other.
        outside = ~np.isfinite(log_det)
        found.ratio[outside], found.each[:, outside] = -np.inf, -np.inf
        lower = np.full(len(inside), region.lower)
        densities = [found.sr + log_det, found.cr + log_det]
        each = list(found.each) if times > 1 else []
        parts.append([source_id[inside], lower, *densities, found.ratio, *each])
    names = ["source_id", "region", "log_sr", "log_cr", "log_ratio"]
    names += ratio_columns(times)
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Table(columns, names=names, units={"region": u.mas / u.yr})


class _Averaged(NamedTuple):
    """Means over trainings, each of shape (N,), and the score of each, (trainings, N)."""

    sr: Array
    cr: Array
    ratio: Array
    each: Array


def _over_trainings(
    trained: Trained, rows: range, failed: NDArray[np.bool_], stars: RegionStars
) -> _Averaged:
    evaluate = EVALUATE[trained.method]
    each = np.full((len(rows), len(stars.z)), np.nan)
    found = []
    for number, row in enumerate(rows):
        if not failed[row]:
            found.append(evaluate(trained, row, stars))
            each[number] = found[-1].ratio
    sr, cr, ratio = (np.mean(values, axis=0) for values in zip(*found, strict=True))
    return _Averaged(sr, cr, ratio, each)


def _empty_scores(times: int) -> list[NDArray[np.generic]]:
    n_floats = 4 + len(ratio_columns(times))
    return [np.empty(0, np.int64), *(np.empty(0) for _ in range(n_floats))]
