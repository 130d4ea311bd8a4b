"""A short trial of how fast this machine trains and scores flows as configured."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from viamachinae.config import AnodeConfig, ScanConfig
from viamachinae.pipeline.patch import one_thread
from viamachinae.score import method
from viamachinae.score.densities import lanes_of
from viamachinae.score.evaluation import choose_device
from viamachinae.score.patch_stars import PatchStars
from viamachinae.score.regions import SignalRegion

# The trial grows through these numbers of stars until it takes so many seconds; in the first of
# them the libraries wake up.
TRIAL_STARS, LONG_ENOUGH = (1_000, 8_000, 64_000), 1.0
# More than one, for what a fit does once is shared by the many epochs and regions of a scan.
TRIAL_EPOCHS, LEAST_REGIONS = 2, 4


@dataclass(frozen=True)
class Trial:
    """How fast this machine is.

    Attributes
    ----------
    updates_per_second : float
        Stars seen in training, over all flows of a worker together.
    scores_per_second : float
        Densities of one snapshot at one star.
    lanes : int
        Flows that train side by side.
    bytes_per_snapshot : int
        Size of the weights of a flow.
    """

    updates_per_second: float
    scores_per_second: float
    lanes: int
    bytes_per_snapshot: int


def run_trial(config: ScanConfig) -> Trial:
    """Train on noise for a moment, with the flows, engine and width of a scan, and score it.

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
    # A region has two flows; a stack that is not full would be slower than a scan's.
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
    trained, _ = method.train(stars, regions, short, AnodeConfig())
    trained_at = clock()
    scores = method.score(trained, x, condition, source_id, config.train.device)
    scored_at = clock()
    trial = Trial(
        updates_per_second=n_regions * n_stars * TRIAL_EPOCHS / (trained_at - begin),
        scores_per_second=2 * len(scores) / (scored_at - trained_at),
        lanes=lanes,
        bytes_per_snapshot=trained.weights.shape[-1] * trained.weights.element_size(),
    )
    return trial, trained_at - begin
