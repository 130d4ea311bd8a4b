"""A background that is known, and a clump of signal stars in it."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import multivariate_normal, norm, rankdata

from viamachinae.config import RegionsConfig, TrainConfig
from viamachinae.score.patch_stars import PatchStars
from viamachinae.score.regions import SignalRegion, signal_regions

N_BACKGROUND, N_SIGNAL = 9_000, 150
SIGNAL_MEAN, SIGNAL_STD = np.array([1.8, -2.0]), 0.2
FEATURES = ["phi", "lam"]
CONFIG = TrainConfig(
    flow={"family": "maf", "blocks": 4, "hidden": [32], "batch_norm": False},
    learning_rate=1e-2,
    weight_decay=1e-4,
    batch_size=64,
    epochs=8,
    average_last=4,
    retrainings=1,
    device="cpu",
)


def background_log_prob(x: np.ndarray, pm: np.ndarray, slope: float = 1.0) -> np.ndarray:
    """A Gaussian whose mean moves with the proper motion."""
    mean = slope * np.column_stack([0.1 * pm, -0.05 * pm])
    return norm.logpdf(x, mean, [1.0, 1.2]).sum(axis=1)


def ideal_log_ratio(x: np.ndarray, pm: np.ndarray, slope: float = 1.0) -> np.ndarray:
    """Of the clump and the background; any monotone function of the score ranks alike."""
    return multivariate_normal(SIGNAL_MEAN, SIGNAL_STD**2).logpdf(x) - background_log_prob(
        x, pm, slope
    )


def auc(values: np.ndarray, signal: np.ndarray) -> float:
    """Chance that a signal star scores above another one."""
    ranks = rankdata(values)
    n = int(signal.sum())
    return float((ranks[signal].sum() - n * (n + 1) / 2) / (n * (len(values) - n)))


def draw_sky(slope: float = 1.0) -> dict[str, Any]:
    """Background over pm = -3 .. 3 and a clump of signal stars at pm = 0.5 .. 1.5.

    `slope` multiplies the change of the background with the proper motion.
    """
    rng = np.random.default_rng(0)
    pm = np.concatenate([rng.uniform(-3, 3, N_BACKGROUND), rng.uniform(0.5, 1.5, N_SIGNAL)])
    mean = slope * np.column_stack([0.1 * pm, -0.05 * pm])
    x = mean + rng.normal(size=mean.shape) * [1.0, 1.2]
    x[N_BACKGROUND:] = SIGNAL_MEAN + SIGNAL_STD * rng.normal(size=(N_SIGNAL, 2))
    return {
        "x": x,
        "pm": pm[:, None],
        "source_id": rng.permutation(len(pm)).astype(np.int64) + 4_000_000_000_000_000_000,
        "signal": np.arange(len(pm)) >= N_BACKGROUND,
    }


def prepared(
    x: np.ndarray,
    pm: np.ndarray,
    source_id: np.ndarray | None = None,
    *,
    seed: int = 1,
    patch: str = "p",
) -> PatchStars:
    """Stars ready to train on."""
    return PatchStars.prepare(
        x,
        pm,
        np.arange(len(x)) if source_id is None else source_id,
        scan="pm_lam",
        patch=patch,
        seed=seed,
        features=FEATURES,
        held_out=CONFIG.held_out,
    )


def region_in(pm: np.ndarray) -> SignalRegion:
    """The region from 0 to 2 mas/yr."""
    config = RegionsConfig(width_masyr=2, stride_masyr=2, min_stars=100, range_masyr=(0, 2))
    (region,) = signal_regions(pm[:, 0], "pm_lam", config)
    return region
