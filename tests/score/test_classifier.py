"""Classifiers: the ratio where it is known, folds that are blind, stacks that do not mix."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm

from viamachinae.config import ClassifierConfig
from viamachinae.score.classifier import (
    LabelledStars,
    cross_validated_log_ratio,
    fit_classifiers,
)
from viamachinae.score.folds import fold_of

CPU = torch.device("cpu")
CONFIG = ClassifierConfig(
    hidden=[24, 24], learning_rate=3e-3, epochs=6, average_best=3, folds=3, batch_size=128
)
QUICK = CONFIG.model_copy(update={"epochs": 2, "average_best": 1})


def points(n_data: int = 3000, n_reference: int = 6000, seed: int = 0) -> LabelledStars:
    """Normal stars about (0.7, 0) against normal ones about (0, 0)."""
    rng = np.random.default_rng(seed)
    is_data = np.arange(n_data + n_reference) < n_data
    x = rng.normal(size=(len(is_data), 2)) + np.outer(is_data, [0.7, 0.0])
    seeds = np.random.SeedSequence(seed).spawn(CONFIG.folds)
    fold = rng.integers(CONFIG.folds, size=len(x))
    return LabelledStars(x.astype(np.float32), is_data, fold, seeds)


def test_the_odds_are_the_ratio_of_densities_whatever_the_ratio_of_numbers():
    given = points()
    found = cross_validated_log_ratio(given, CONFIG, CPU)
    x = given.x[:, 0].astype(np.float64)
    truth = norm.logpdf(x, 0.7) - norm.logpdf(x)
    near = np.abs(x) < 2
    assert np.abs((found - truth)[near]).mean() < 0.1
    # Among stars of either class at log-ratio r, the odds are exp(r) times those of the numbers.
    for low, high in ((-0.8, -0.3), (0.2, 0.7)):
        some = (found > low) & (found < high)
        odds = given.is_data[some].sum() / (~given.is_data[some]).sum() * 6000 / 3000
        assert np.log(odds) == pytest.approx(found[some].mean(), abs=0.15)


def test_no_star_is_scored_by_a_classifier_that_saw_it():
    """Stars of one fold with a mark of their own: only classifiers that saw it know the mark."""
    given = points(2000, 2000)
    marked = given.is_data & (given.fold == 1)
    x = given.x.copy()
    x[marked, 1] = 8.0
    given = given._replace(x=x)
    longer = CONFIG.model_copy(update={"epochs": 15})
    found = fit_classifiers([given], 1, longer, device=CPU, stack_size=3).classifiers
    stars = torch.from_numpy(x[marked])
    by = [
        found.log_odds(0, stars, np.full(len(stars), fold)).mean() for fold in range(CONFIG.folds)
    ]
    scored = found.log_odds(0, torch.from_numpy(x), given.fold)[marked].mean()
    assert scored == pytest.approx(by[1])
    # Fold 1 is trained on by classifier 2 and validates classifier 0.
    assert by[2] > by[1] + 1
    for task, own in zip(given.tasks(first=10), range(CONFIG.folds), strict=True):
        seen = np.concatenate([task.train.numbers, task.held_out.numbers]) - 10
        assert (given.fold[seen] != own).all()
        assert len(np.unique(seen)) == np.count_nonzero(given.fold != own)


def test_many_sets_learn_what_each_learns_alone(monkeypatch):
    sets = [points(300, 500, seed) for seed in range(3)]
    together = fit_classifiers(sets, 3, QUICK, device=CPU, stack_size=64)
    monkeypatch.setattr("viamachinae.score.classifier.POINTS_AT_ONCE", 900)
    apart = fit_classifiers(iter(sets), 3, QUICK, device=CPU, stack_size=2)
    torch.testing.assert_close(
        together.classifiers.weights, apart.classifiers.weights, rtol=1e-4, atol=1e-5
    )
    assert together.courses == apart.courses
    assert [(r.flow, r.epoch) for r in together.records] == [
        (r.flow, r.epoch) for r in apart.records
    ]


def test_what_cannot_be_learned_fails_alone():
    good, bad = points(300, 300), points(300, 300)
    bad.x[5] = np.nan
    fitted = fit_classifiers([bad, good], 2, QUICK, device=CPU, stack_size=8)
    assert fitted.classifiers.failed.tolist() == [True, False]
    assert fitted.classifiers.weights[0].isnan().all()
    assert len(fitted.records) == QUICK.epochs * QUICK.folds


def test_folds_are_even_stable_and_do_not_follow_the_bits_of_a_source_id():
    source_id = (np.arange(20_000, dtype=np.int64) << 35) + 4_000_000_000_000_000_000
    fold = fold_of(source_id, 5)
    counts = np.bincount(fold, minlength=5)
    assert np.abs(counts - 4000).max() < 5 * np.sqrt(4000)
    # Neighbours are as likely in one fold as any two stars.
    assert (fold[1:] == fold[:-1]).mean() == pytest.approx(0.2, abs=0.02)
    np.testing.assert_array_equal(fold_of(source_id[::-1], 5)[::-1], fold)


def test_the_hash_of_the_folds_is_splitmix64():
    """The value that the generator's reference gives first from the seed 0."""
    golden = np.array([0x9E3779B97F4A7C15], dtype=np.uint64).view(np.int64)
    assert fold_of(golden, 1000)[0] == 0xE220A8397B1DCDAF % 1000
