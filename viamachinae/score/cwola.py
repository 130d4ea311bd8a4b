"""CWoLa: a classifier tells a signal region from its sidebands (arXiv:2305.03761).

It sees the features and not the condition. Where the background's features change with the
condition it learns that change instead of a stream: it is here to compare with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from astropy.table import Table

from viamachinae.config import CwolaConfig, TrainConfig
from viamachinae.flows.progress import Progress
from viamachinae.flows.resume import Keeper
from viamachinae.score.classifier import Classifiers, LabelledStars, fit_classifiers
from viamachinae.score.densities import fit_densities
from viamachinae.score.evaluation import RegionScores, RegionStars, choose_device
from viamachinae.score.folds import fold_of
from viamachinae.score.history import history_table
from viamachinae.score.patch_stars import PatchStars
from viamachinae.score.regions import SignalRegion
from viamachinae.score.trained import Trained


def train(
    stars: PatchStars,
    regions: Sequence[SignalRegion],
    config: TrainConfig,
    options: CwolaConfig,
    on_step: Progress | None = None,
    keeper: Keeper | None = None,
) -> tuple[Trained, Table]:
    """Fit the classifiers of every region against its sidebands; there is no flow."""
    trained, _ = fit_densities(stars, regions, [], config)
    fitted = fit_classifiers(
        _sets(stars, regions, options),
        len(regions),
        options.classifier,
        device=choose_device(config.device),
        stack_size=config.stack_size,
        on_step=on_step,
        keeper=keeper,
    )
    trained = replace(trained, method="cwola", learned=fitted.classifiers)
    return trained, history_table(fitted.records, fitted.courses)


def evaluate(trained: Trained, row: int, stars: RegionStars) -> RegionScores:
    """R = s / (1 - s): the classes weigh the same, so the odds are the ratio of densities."""
    learned = trained.learned
    if not isinstance(learned, Classifiers):
        raise TypeError("there are no classifiers here")
    ratio = learned.log_odds(row, stars.z, fold_of(stars.source_id, learned.folds))
    none = np.full_like(ratio, np.nan)
    return RegionScores(none, none, ratio)


def _sets(
    stars: PatchStars, regions: Sequence[SignalRegion], options: CwolaConfig
) -> Iterator[LabelledStars]:
    """For each region its stars and those of both sidebands; a region may have but one."""
    folds, width = options.classifier.folds, options.sideband_masyr
    for region in regions:
        wide = stars.rows(region.lower - width, region.upper + width)
        yield LabelledStars(
            stars.scaled[wide, :-1],
            region.contains(stars.pm[wide]),
            fold_of(stars.source_id[wide], folds),
            [stars.seed_of(region, "classifier", fold) for fold in range(folds)],
            region.lower,
            region.retraining,
        )
