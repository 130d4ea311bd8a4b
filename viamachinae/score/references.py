"""The best that classifiers could do, where the truth is known: for simulated skies alone.

Both are yardsticks of the CATHODE paper (arXiv:2109.00546): what a score loses against
``idealised`` it loses by its estimate of the background, and what that loses against
``supervised`` it loses for want of labels.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from viamachinae.config import ClassifierConfig
from viamachinae.score.classifier import LabelledStars, cross_validated_log_ratio
from viamachinae.score.folds import fold_of

Array = NDArray[np.float64]


def idealised(
    x: NDArray[np.float32],
    source_id: NDArray[np.int64],
    background: NDArray[np.float32],
    config: ClassifierConfig,
    *,
    seed: np.random.SeedSequence,
    device: torch.device,
) -> Array:
    """Log-ratio of the stars' density to that of true background, by classifiers.

    Parameters
    ----------
    x : ndarray of shape (N, d), float32
        Scaled features of the stars of a signal region.
    source_id : ndarray of shape (N,), int64
    background : ndarray of shape (M, d), float32
        Other stars of the background's true density in the region.
    config : ClassifierConfig
    seed : SeedSequence
    device : torch.device

    Returns
    -------
    ndarray of shape (N,), float64
        Each by a classifier that did not see the star.
    """
    fold = [fold_of(source_id, config.folds), np.arange(len(background)) % config.folds]
    points = LabelledStars(
        np.concatenate([x, background]),
        np.repeat([True, False], [len(x), len(background)]),
        np.concatenate(fold),
        seed.spawn(config.folds),
    )
    return cross_validated_log_ratio(points, config, device)[: len(x)]


def supervised(
    x: NDArray[np.float32],
    source_id: NDArray[np.int64],
    is_signal: NDArray[np.bool_],
    config: ClassifierConfig,
    *,
    seed: np.random.SeedSequence,
    device: torch.device,
) -> Array:
    """Log-ratio of signal to background, by classifiers that see the labels of other stars.

    Parameters and result are as those of `idealised`; `is_signal` has shape (N,).
    """
    fold = fold_of(source_id, config.folds)
    points = LabelledStars(x, is_signal, fold, seed.spawn(config.folds))
    return cross_validated_log_ratio(points, config, device)
