"""Classifiers of stars against a reference, such that none scores a star that it saw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from viamachinae.config import ClassifierConfig
from viamachinae.flows.classifiers import (
    CLASSIFIERS,
    ClassifierArchitecture,
    ClassifierStack,
    signed_weights,
)
from viamachinae.flows.lanes import FitOptions
from viamachinae.flows.progress import Progress, part
from viamachinae.flows.resume import Keeper, part_of
from viamachinae.flows.rows import Picked, Stars, Task
from viamachinae.flows.runs import EpochRecord
from viamachinae.flows.training import fit
from viamachinae.score.history import Course

Array = NDArray[np.float64]

# Classifiers of many regions train as one stack, as long as their points are no more than these.
POINTS_AT_ONCE = 4_000_000


class LabelledStars(NamedTuple):
    """Stars and a reference that classifiers learn to tell from each other.

    Attributes
    ----------
    x : ndarray of shape (N, d), float32
    is_data : ndarray of shape (N,), bool
        Whether a point is a star of the data; else it belongs to the reference.
    fold : ndarray of shape (N,), int64
    seeds : list of SeedSequence
        One a fold.
    region, retraining : float, int
        Lower edge of the signal region, mas/yr, and which training, for the history.
    """

    x: NDArray[np.float32]
    is_data: NDArray[np.bool_]
    fold: NDArray[np.int64]
    seeds: list[np.random.SeedSequence]
    region: float = 0.0
    retraining: int = 0

    @property
    def is_learnable(self) -> bool:
        """Whether every fold holds both classes, all of them finite."""
        groups = np.bincount(2 * self.fold + self.is_data, minlength=2 * len(self.seeds))
        return bool(groups.all() and np.isfinite(self.x).all())

    def tasks(self, first: int) -> list[Task]:
        """One classifier a fold, which neither trains nor validates on it.

        Parameters
        ----------
        first : int
            Row of the first point in the array that all classifiers share.
        """
        found = []
        for fold, seed in enumerate(self.seeds):
            validation = (fold + 1) % len(self.seeds)
            tested = self.fold == validation
            trained = ~tested & (self.fold != fold)
            found.append(Task(_numbers(trained, first), _numbers(tested, first), seed))
        return found


@dataclass(frozen=True)
class Classifiers:
    """Classifiers of each signal region, one a fold of its stars.

    Attributes
    ----------
    hidden : tuple of int
    weights : Tensor of shape (R, folds, A, P), float32
        The A best epochs of each, whose probabilities are averaged.
    failed : ndarray of shape (R,), bool
        Regions that could not be learned.
    """

    hidden: tuple[int, ...]
    weights: Tensor
    failed: NDArray[np.bool_]

    @property
    def folds(self) -> int:
        """Number of classifiers of a region."""
        return self.weights.shape[1]

    def log_odds(self, row: int, x: Tensor, fold: NDArray[np.int64]) -> Array:
        """Natural logarithm of the ratio of the densities of data and reference.

        Parameters
        ----------
        row : int
            Of the region.
        x : Tensor of shape (N, d), float32
        fold : ndarray of shape (N,), int64
            The fold of each star: the classifier that did not see it scores it.

        Returns
        -------
        ndarray of shape (N,), float64
        """
        found = np.empty(len(x))
        for number, weights in enumerate(self.weights[row]):
            own = np.flatnonzero(fold == number)
            shape = ClassifierArchitecture(x.shape[1], 0, 1, self.hidden)
            stack = ClassifierStack(shape, weights, weights.new_empty(len(weights), 0)).eval()
            found[own] = stack.to(x.device).average_log_odds(x[own]).cpu().numpy()
        return found


class Fitted(NamedTuple):
    """Trained classifiers and the course of their training."""

    classifiers: Classifiers
    records: list[EpochRecord]
    courses: list[Course]


def fit_classifiers(
    sets: Iterable[LabelledStars],
    n_sets: int,
    config: ClassifierConfig,
    *,
    device: torch.device,
    stack_size: int,
    on_step: Progress | None = None,
    keeper: Keeper | None = None,
) -> Fitted:
    """Fit one classifier to each fold of each set; classes weigh the same.

    Parameters
    ----------
    sets : iterable of LabelledStars
        Of one number of features; taken as needed, so that not all are in memory at once.
    n_sets : int
        How many they are.
    config : ClassifierConfig
    device : torch.device
    stack_size : int
        Most classifiers trained at once; bounds memory, not results.
    on_step : callable, optional
        Called about twice a second with the work done and to do.
    keeper : Keeper, optional
        Keeps the state of the training now and then, and has it go on from there.
    """
    options = FitOptions(
        learning_rate=config.learning_rate,
        weight_decay=0.0,
        batch_size=config.batch_size,
        epochs=config.epochs,
        average_last=config.average_best,
        stack_size=stack_size,
        snapshots="best",
    )
    weights: list[Tensor | None] = []
    records: list[EpochRecord] = []
    courses: list[Course] = []
    for number, group in enumerate(_groups(sets)):
        told = part(on_step, len(weights) / n_sets, (len(weights) + len(group)) / n_sets)
        learnable = [one for one in group if one.is_learnable]
        learned = iter(())
        if learnable:
            kept = part_of(keeper, str(number))
            fitted = _fit_group(learnable, config, options, device, told, kept)
            records += [r._replace(flow=r.flow + len(courses)) for r in fitted.records]
            courses += fitted.courses
            learned = iter(fitted.classifiers.weights)
        weights += [next(learned) if one.is_learnable else None for one in group]
    return Fitted(_collect(weights, config), records, courses)


def cross_validated_log_ratio(
    points: LabelledStars, config: ClassifierConfig, device: torch.device
) -> Array:
    """Log-ratio of data and reference at all points, each by the classifier that did not see it.

    Returns
    -------
    ndarray of shape (N,), float64
    """
    fitted = fit_classifiers([points], 1, config, device=device, stack_size=len(points.seeds))
    x = torch.from_numpy(points.x).to(device)
    return fitted.classifiers.log_odds(0, x, points.fold)


def _numbers(chosen: NDArray[np.bool_], first: int) -> Picked:
    return Picked((np.flatnonzero(chosen) + first).astype(np.int32))


def _groups(sets: Iterable[LabelledStars]) -> Iterator[list[LabelledStars]]:
    group: list[LabelledStars] = []
    for one in sets:
        if group and sum(len(held.x) for held in group) + len(one.x) > POINTS_AT_ONCE:
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def _fit_group(
    group: list[LabelledStars],
    config: ClassifierConfig,
    options: FitOptions,
    device: torch.device,
    on_step: Progress | None,
    keeper: Keeper | None,
) -> Fitted:
    points = [np.column_stack([one.x, signed_weights(one.is_data)]) for one in group]
    shared = torch.from_numpy(np.concatenate(points).astype(np.float32)).to(device)
    first = np.cumsum([0, *(len(one.x) for one in group)]).tolist()
    tasks = [task for one, row in zip(group, first, strict=False) for task in one.tasks(row)]
    shape = ClassifierArchitecture(group[0].x.shape[1], 0, 1, tuple(config.hidden))
    fitted = fit(
        shape, Stars(shared, shared), tasks, options, on_step, engine=CLASSIFIERS, keeper=keeper
    )
    weights = fitted.weights.view(len(group), config.folds, *fitted.weights.shape[1:])
    owners = [(one, fold) for one in group for fold in range(config.folds)]
    courses = [
        Course(own.region, own.retraining, f"fold {fold}", task.train.count(len(shared)))
        for (own, fold), task in zip(owners, tasks, strict=True)
    ]
    failed = np.asarray(fitted.failed.reshape(len(group), -1).any(axis=1))
    return Fitted(Classifiers(tuple(config.hidden), weights, failed), fitted.history, courses)


def _collect(weights: list[Tensor | None], config: ClassifierConfig) -> Classifiers:
    """All regions' weights; NaN where there are none."""
    shapes = {one.shape for one in weights if one is not None}
    shape = shapes.pop() if shapes else torch.Size([config.folds, config.average_best, 0])
    nothing = torch.full(shape, torch.nan)
    stacked = torch.stack([nothing if one is None else one for one in weights])
    flat = stacked.flatten(1)
    failed = np.ones(len(flat), np.bool_)
    if flat.shape[1]:
        failed = flat.isnan().any(dim=1).numpy()
    return Classifiers(tuple(config.hidden), stacked, failed)
