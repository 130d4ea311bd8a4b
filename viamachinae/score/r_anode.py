"""R-ANODE: a flow learns what the control density leaves (Das, Kasieczka & Shih, 2312.11629).

The stars of a signal region are taken to be w p_sig + (1 - w) p_CR with p_CR fixed, and p_sig and
w are fitted by maximum likelihood. As there, both densities are joint ones of features and
condition, p_CR times the density of the condition in the region, so that a signal may be narrow
in its condition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from astropy.table import Table, vstack
from numpy.typing import NDArray

from viamachinae.config import RAnodeConfig, TrainConfig
from viamachinae.flows.lanes import FitOptions
from viamachinae.flows.mixtures import MIXTURES, MixtureArchitecture, part_mixture
from viamachinae.flows.progress import Progress, part
from viamachinae.flows.resume import Keeper, part_of
from viamachinae.flows.rows import Rows, Stars, Task
from viamachinae.flows.training import Fit, fit
from viamachinae.score.conditions import ConditionDensity
from viamachinae.score.densities import architecture_of, fit_densities
from viamachinae.score.evaluation import (
    RegionScores,
    RegionStars,
    choose_device,
    log_density,
)
from viamachinae.score.history import Course, history_table
from viamachinae.score.patch_stars import PatchStars
from viamachinae.score.regions import SignalRegion
from viamachinae.score.residual import SignalFlows
from viamachinae.score.trained import Trained

Points = NDArray[np.float32]


def train(
    stars: PatchStars,
    regions: Sequence[SignalRegion],
    config: TrainConfig,
    options: RAnodeConfig,
    on_step: Progress | None = None,
    keeper: Keeper | None = None,
) -> tuple[Trained, Table]:
    """Fit the control density of every region, then with it fixed the signal's."""
    # The one is an autoregressive flow like the other, but of one feature more.
    shape = architecture_of(options.flow, len(stars.features) + 1, 0, "score.flow")
    mixture = MixtureArchitecture(**vars(shape), initial_share=options.initial_share)
    trained, history = fit_densities(
        stars, regions, ["cr"], config, part(on_step, 0, 0.5), part_of(keeper, "densities")
    )
    device = choose_device(config.device)
    insides = [stars.rows(region.lower, region.upper) for region in regions]
    conditions = [ConditionDensity.fit(stars.scaled[rows, -1].astype("f8")) for rows in insides]
    usable = np.flatnonzero(~trained.failed_rows()).tolist()
    points = [
        _with_background(trained, row, stars.scaled[insides[row]], conditions[row], device)
        for row in usable
    ]
    held_out = [stars.held_out[insides[row]] for row in usable]
    seeds = [stars.seed_of(regions[row], "signal") for row in usable]
    fitted = None
    if usable:
        fitted = fit(
            mixture,
            *_tasks(points, held_out, seeds, device),
            _options(options, config),
            part(on_step, 0.5, 1),
            engine=MIXTURES,
            keeper=part_of(keeper, "signal"),
        )
    signal = _scatter(mixture, fitted, usable, conditions)
    courses = [
        Course(
            regions[row].lower,
            regions[row].retraining,
            "signal",
            int(np.count_nonzero(~tested)),
            float(stars.log_det[insides[row]][~tested].mean()),
            float(stars.log_det[insides[row]][tested].mean()),
        )
        for row, tested in zip(usable, held_out, strict=True)
    ]
    course = history_table(fitted.history if fitted else [], courses)
    trained = replace(trained, method="r_anode", learned=signal)
    return trained, vstack([history, course], metadata_conflicts="silent")


def evaluate(trained: Trained, row: int, stars: RegionStars) -> RegionScores:
    """R = p_sig / p_CR; what it says of a star's membership grows with it, whatever w."""
    learned = trained.learned
    if not isinstance(learned, SignalFlows):
        raise TypeError("these flows were trained without those of a signal")
    cr = log_density(trained, row, "cr", stars.z, stars.given)
    ratio = learned.log_ratio(row, stars.z, stars.given, cr)
    share = learned.signal_share(row)
    sr = cr + np.logaddexp(np.log1p(-share), np.log(share) + ratio)
    return RegionScores(sr, cr, ratio)


def _with_background(
    trained: Trained, row: int, scaled: Points, condition: ConditionDensity, device: torch.device
) -> Points:
    """Features, condition and ln of their background density, shape (N, d + 2)."""
    stars = torch.from_numpy(scaled).to(device)
    log_cr = log_density(trained, row, "cr", stars[:, :-1], stars[:, -1:])
    log_background = log_cr + condition.log_pdf(scaled[:, -1].astype(np.float64))
    return np.column_stack([scaled, log_background]).astype(np.float32)


def _options(options: RAnodeConfig, config: TrainConfig) -> FitOptions:
    return FitOptions(
        learning_rate=options.learning_rate,
        weight_decay=0.0,
        batch_size=options.batch_size,
        epochs=options.epochs,
        average_last=options.average_best,
        stack_size=config.stack_size,
        snapshots="best",
    )


def _tasks(
    points: Sequence[Points],
    held_out: Sequence[NDArray[np.bool_]],
    seeds: Sequence[np.random.SeedSequence],
    device: torch.device,
) -> tuple[Stars, list[Task]]:
    """One mixture for each set of points."""
    tested = [some[out] for some, out in zip(points, held_out, strict=True)]
    kept = [some[~out] for some, out in zip(points, held_out, strict=True)]
    tasks = [
        Task(trained, validated, seed)
        for trained, validated, seed in zip(_slices(kept), _slices(tested), seeds, strict=True)
    ]
    stars = Stars(*(torch.from_numpy(np.concatenate(p)).to(device) for p in (kept, tested)))
    return stars, tasks


def _slices(parts: Sequence[Points]) -> list[Rows]:
    edges = np.cumsum([0, *map(len, parts)]).tolist()
    return [Rows(first, last) for first, last in pairwise(edges)]


def _scatter(
    mixture: MixtureArchitecture,
    fitted: Fit | None,
    usable: list[int],
    conditions: list[ConditionDensity],
) -> SignalFlows:
    """What was fitted, as rows of all regions; NaN for the others."""
    weights, statistics = (
        (torch.empty(0, 1, 1), torch.empty(0, 1, 0))
        if fitted is None
        else (fitted.weights, fitted.statistics)
    )
    whole = torch.full((len(conditions), *weights.shape[1:]), torch.nan)
    running = torch.full((len(conditions), *statistics.shape[1:]), torch.nan)
    whole[usable], running[usable] = weights, statistics
    parted = part_mixture(mixture, whole)
    failed = whole.flatten(1).isnan().any(dim=1).numpy()
    return SignalFlows(
        parted.architecture, parted.weights, running, parted.share, conditions, failed
    )
