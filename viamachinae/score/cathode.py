"""CATHODE: a classifier tells stars from samples of the control density (2109.00546).

The control region's density is carried into the signal region by its condition, as in ANODE, and
sampled there. A classifier of the region's stars against the samples learns the ratio of the two
densities directly, with no density of the signal region's stars.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil

import numpy as np
import torch
from astropy.table import Table, vstack
from numpy.typing import NDArray

from viamachinae.config import CathodeConfig, TrainConfig
from viamachinae.flows.progress import Progress, part
from viamachinae.flows.resume import Keeper, part_of
from viamachinae.flows.stack import CHUNK, FlowStack
from viamachinae.score.classifier import Classifiers, LabelledStars, fit_classifiers
from viamachinae.score.conditions import ConditionDensity
from viamachinae.score.densities import fit_densities
from viamachinae.score.evaluation import (
    RegionScores,
    RegionStars,
    choose_device,
    engine_to_score,
    log_density,
)
from viamachinae.score.folds import fold_of
from viamachinae.score.history import history_table
from viamachinae.score.patch_stars import PatchStars
from viamachinae.score.regions import SignalRegion
from viamachinae.score.trained import Trained


def train(
    stars: PatchStars,
    regions: Sequence[SignalRegion],
    config: TrainConfig,
    options: CathodeConfig,
    on_step: Progress | None = None,
    keeper: Keeper | None = None,
) -> tuple[Trained, Table]:
    """Fit the control density of every region, sample it, and fit the classifiers."""
    trained, history = fit_densities(
        stars, regions, ["cr"], config, part(on_step, 0, 0.5), part_of(keeper, "densities")
    )
    device = choose_device(config.device)
    fitted = fit_classifiers(
        _sets(trained, stars, options, device),
        len(regions),
        options.classifier,
        device=device,
        stack_size=config.stack_size,
        on_step=part(on_step, 0.5, 1),
        keeper=part_of(keeper, "classifiers"),
    )
    course = history_table(fitted.records, fitted.courses)
    trained = replace(trained, method="cathode", learned=fitted.classifiers)
    return trained, vstack([history, course], metadata_conflicts="silent")


def evaluate(trained: Trained, row: int, stars: RegionStars) -> RegionScores:
    """R = s / (1 - s): the classes weigh the same, so the odds are the ratio of densities."""
    learned = trained.learned
    if not isinstance(learned, Classifiers):
        raise TypeError("these flows were trained without classifiers")
    ratio = learned.log_odds(row, stars.z, fold_of(stars.source_id, learned.folds))
    cr = log_density(trained, row, "cr", stars.z, stars.given)
    return RegionScores(np.full_like(ratio, np.nan), cr, ratio)


def sample_reference(
    stack: FlowStack, conditions: ConditionDensity, n: int, seed: np.random.SeedSequence
) -> NDArray[np.float32]:
    """Samples of the average of a stack's densities, at conditions drawn from a density.

    Parameters
    ----------
    stack : FlowStack
        A snapshots; each gives the same number of samples.
    conditions : ConditionDensity
        Of the scaled condition.
    n : int
        Number of samples.
    seed : SeedSequence

    Returns
    -------
    ndarray of shape (n, d), float32
        Scaled features.
    """
    generator = np.random.default_rng(seed)
    noise = torch.Generator().manual_seed(int(generator.integers(2**63)))
    each = ceil(n / stack.n_models)
    drawn = conditions.draw(each * stack.n_models, generator).astype(np.float32)
    given = torch.from_numpy(drawn).view(stack.n_models, each, 1).to(stack.weights)
    parts = [
        stack.sample(some.shape[1], some, generator=noise)
        for some in torch.split(given, max(1, CHUNK // stack.n_models), dim=1)
    ]
    # Snapshots take turns, so that those too many are not all of one.
    samples = torch.cat(parts, dim=1).transpose(0, 1).reshape(-1, stack.architecture.features)
    found: NDArray[np.float32] = samples[:n].cpu().numpy()
    return found


def _sets(
    trained: Trained, stars: PatchStars, options: CathodeConfig, device: torch.device
) -> Iterator[LabelledStars]:
    """For each region its stars and the samples that they are held against."""
    engine = engine_to_score(trained, device)
    folds = options.classifier.folds
    for row, region in enumerate(trained.regions):
        inside = stars.rows(region.lower, region.upper)
        z, given = stars.scaled[inside, :-1], stars.scaled[inside, -1]
        n = round(options.oversampling * len(z))
        # Samples of a failed flow are not finite: the set is not learnable.
        samples = sample_reference(
            trained.members(row, "cr", engine.stack).to(device),
            ConditionDensity.fit(given.astype(np.float64)),
            n,
            stars.seed_of(region, "samples"),
        )
        yield LabelledStars(
            np.concatenate([z, samples]),
            np.repeat([True, False], [len(z), n]),
            np.concatenate([fold_of(stars.source_id[inside], folds), np.arange(n) % folds]),
            [stars.seed_of(region, "classifier", fold) for fold in range(folds)],
            region.lower,
            region.retraining,
        )
