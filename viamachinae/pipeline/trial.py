"""A short trial of how fast this machine trains and scores what is configured."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from viamachinae.config import (
    AnodeConfig,
    ClassifierConfig,
    RAnodeConfig,
    ScanConfig,
    ScoreConfig,
)
from viamachinae.score import method
from viamachinae.score.densities import lanes_of
from viamachinae.score.evaluation import choose_device, one_thread
from viamachinae.score.patch_stars import PatchStars
from viamachinae.score.regions import SignalRegion
from viamachinae.score.trained import Density

# The trial grows through these numbers of stars until it takes so many seconds; in the first of
# them the libraries wake up.
TRIAL_STARS, LONG_ENOUGH = (1_000, 8_000, 64_000), 1.0
# More than one, for what a fit does once is shared by the many epochs and regions of a scan. What
# is learned beyond the densities has more, for which samples may have to be drawn first.
TRIAL_EPOCHS, LEARNING_EPOCHS, LEAST_REGIONS = 2, 10, 4


@dataclass(frozen=True)
class Trial:
    """How fast this machine is, and what the score's method trains.

    Attributes
    ----------
    seconds_per_update : float
        Of a star seen in the training of a flow of a density, where lanes are full.
    seconds_per_score : float
        Of a star scored in a region by densities of one snapshot.
    lanes : int
        Flows that train side by side.
    bytes_per_snapshot : int
        Size of the weights of a flow.
    densities : tuple of str
        Those of a signal region that have a flow.
    seconds_per_learning : float
        Of an epoch of what is learned beyond the densities, per star of the signal region.
    bytes_learned : int
        Size of that, for one training of a region.
    """

    seconds_per_update: float
    seconds_per_score: float
    lanes: int
    bytes_per_snapshot: int
    densities: tuple[Density, ...] = ("sr", "cr")
    seconds_per_learning: float = 0.0
    bytes_learned: int = 0


def learning(score: ScoreConfig) -> ClassifierConfig | RAnodeConfig | None:
    """The options of what a method learns beyond the densities; None where it is nothing."""
    if isinstance(score, AnodeConfig):
        return None
    return score if isinstance(score, RAnodeConfig) else score.classifier


def run_trial(config: ScanConfig) -> Trial:
    """Train on noise for a moment, with method, flows, engine and width of a scan, and score it.

    Time is that of the processor, so that whatever else runs on the machine does not count; where
    flows train on a GPU it is that of the clock.

    Raises
    ------
    BadInputError
        If CUDA or an engine is asked for and absent.
    """
    on_gpu = choose_device(config.train.device).type == "cuda"
    clock = time.perf_counter if on_gpu else time.process_time
    with one_thread():
        for n_stars in TRIAL_STARS:
            trial, seconds = _measure(config, n_stars, clock)
            if seconds > LONG_ENOUGH:
                break
    return trial


def _measure(config: ScanConfig, n_stars: int, clock: Callable[[], float]) -> tuple[Trial, float]:
    """The trial with so many stars, and how long its training took."""
    features = config.preprocess.features
    lanes = lanes_of(config.train, len(features))
    draw = np.random.default_rng(0).normal(size=(n_stars, len(features) + 1))
    x, condition = draw[:, :-1], draw[:, -1:]
    # A region has up to two flows; a stack that is not full would be slower than a scan's.
    n_regions = max(LEAST_REGIONS, (lanes + 1) // 2)
    regions = [SignalRegion("pm_lam", 0.0, 9.0, n_stars // 2, n_stars // 2)] * n_regions
    brief = {"epochs": TRIAL_EPOCHS, "average_last": 1, "retrainings": 1}
    short = config.train.model_copy(update=brief)
    begin = clock()
    source_id = np.arange(n_stars)
    stars = PatchStars.prepare(
        x,
        condition,
        source_id,
        scan="pm_lam",
        patch="trial",
        seed=0,
        features=features,
        held_out=config.train.held_out,
    )
    halfway = begin

    def mark(done: int, total: int) -> None:
        # The first half of the work, to rounding, is that of the densities.
        nonlocal halfway
        if 2 * done <= total + 1:
            halfway = clock()

    trained, _ = method.train(stars, regions, short, _brief(config.score), mark)
    trained_at = clock()
    scores = method.score(trained, x, condition, source_id, config.train.device)
    scored_at = clock()
    options, learned = learning(config.score), trained.learned
    flows_at = begin if not trained.densities else halfway if options else trained_at
    # Half of the stars are in the region and half of them outside.
    n_inside = n_regions * n_stars / 2
    n_updates = max(1, len(trained.densities)) * n_inside * TRIAL_EPOCHS
    bytes_learned = 0
    if options and learned:
        size = learned.weights[0].numel() * learned.weights.element_size()
        bytes_learned = size * options.average_best // min(options.average_best, LEARNING_EPOCHS)
    trial = Trial(
        seconds_per_update=(flows_at - begin) / n_updates,
        seconds_per_score=(scored_at - trained_at) / len(scores),
        lanes=lanes,
        bytes_per_snapshot=trained.weights.shape[-1] * trained.weights.element_size(),
        densities=trained.densities,
        seconds_per_learning=(trained_at - flows_at) / (n_inside * LEARNING_EPOCHS),
        bytes_learned=bytes_learned,
    )
    return trial, trained_at - begin


def _brief(score: ScoreConfig) -> ScoreConfig:
    """The method with few epochs."""
    options = learning(score)
    if options is None:
        return score
    best = min(options.average_best, LEARNING_EPOCHS)
    brief = options.model_copy(update={"epochs": LEARNING_EPOCHS, "average_best": best})
    return (
        brief if isinstance(brief, RAnodeConfig) else score.model_copy(update={"classifier": brief})
    )
