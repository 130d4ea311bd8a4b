"""The scores on a resonance in four features, with the shape of the LHC Olympics' R&D set.

Run as ``python workflows/benchmarks/resonance.py OUT``: draws a smooth background and a narrow
signal over one condition, scores the signal region by every method, and writes the significance
improvement (efficiency of the signal over the root of that of the background) as ``sic.png`` and
``sic.ecsv``. A second sky has features that move with the condition. Nothing here is a star; the
condition, from 0 to 10, stands where a proper motion would.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from astropy.table import Table, vstack

from viamachinae.config import (
    AnodeConfig,
    CathodeConfig,
    ClassifierConfig,
    CwolaConfig,
    RAnodeConfig,
    ScoreConfig,
    TrainConfig,
)
from viamachinae.score.evaluation import one_thread
from viamachinae.score.method import score, train
from viamachinae.score.patch_stars import PatchStars
from viamachinae.score.references import idealised, supervised
from viamachinae.score.regions import SignalRegion

# In the signal region, as in the LHC Olympics' R&D set (arXiv:2109.00546).
N_BACKGROUND, N_SIGNAL = 120_000, 770
LOWER, UPPER, SIDEBAND = 4.0, 5.0, 1.0
FEATURES = ["a", "b", "c", "d"]
# How fast the background falls along the condition, over 0 to 10.
FALL = 0.4
# Background points with a true density for the idealised score, by star: those of CATHODE.
OVERSAMPLING = 4
METHODS = ("supervised", "idealised", "cathode", "r_anode", "anode", "cwola")


class Sky(NamedTuple):
    """Points with their condition, and which of them are signal."""

    x: np.ndarray
    condition: np.ndarray
    is_signal: np.ndarray


def background(condition: np.ndarray, shift: float, rng: np.random.Generator) -> np.ndarray:
    """Four features, two skewed and two correlated; by `shift` they move with the condition."""
    n = len(condition)
    a, b = rng.gamma(2.0, 0.5, n), rng.gamma(3.0, 0.4, n)
    c = rng.normal(size=n) + 0.5 * a
    d = rng.beta(4.0, 3.0, n) + 0.1 * c
    return np.column_stack([a, b, c, d]) + shift * (condition[:, None] - 4.5) * [0.5, 0.4, 0.8, 0.2]


def draw(scale: float, shift: float, seed: int) -> Sky:
    """Background that falls along the condition, and a signal narrow in all."""
    rng = np.random.default_rng(seed)
    edge = np.exp(-FALL * np.array([LOWER, UPPER]))
    n = round(scale * N_BACKGROUND * (1 - np.exp(-10 * FALL)) / (edge[0] - edge[1]))
    condition = -np.log(1 - rng.random(n) * (1 - np.exp(-10 * FALL))) / FALL
    n_signal = round(scale * N_SIGNAL)
    at = np.clip(rng.normal(4.5, 0.2, n_signal), LOWER, UPPER - 1e-6)
    signal = [1.8, 2.0, 1.8, 0.65] + rng.normal(size=(n_signal, 4)) * [0.3, 0.3, 0.4, 0.1]
    return Sky(
        np.concatenate([background(condition, shift, rng), signal]),
        np.concatenate([condition, at])[:, None],
        np.arange(n + n_signal) >= n,
    )


def methods(folds: int, epochs: int) -> dict[str, ScoreConfig]:
    """The scores, with the published classifier but for its folds and epochs."""
    nets = ClassifierConfig(folds=folds, epochs=epochs, average_best=min(10, epochs))
    return {
        "cathode": CathodeConfig(method="cathode", oversampling=OVERSAMPLING, classifier=nets),
        "r_anode": RAnodeConfig(method="r_anode", epochs=epochs, average_best=min(10, epochs)),
        "anode": AnodeConfig(),
        "cwola": CwolaConfig(method="cwola", sideband_masyr=SIDEBAND, classifier=nets),
    }


def improvement(log_ratio: np.ndarray, is_signal: np.ndarray) -> Table:
    """Efficiency of the signal, and its improvement of significance, cut by cut.

    Cuts that leave fewer than 20 background points are left out: chance rules there.
    """
    order = np.argsort(-log_ratio, kind="stable")
    signal = np.cumsum(is_signal[order])
    false = np.cumsum(~is_signal[order])
    some = np.flatnonzero((false >= 20) & is_signal[order])
    efficiency = signal[some] / signal[-1]
    return Table({"efficiency": efficiency, "sic": efficiency / np.sqrt(false[some] / false[-1])})


def run(sky: Sky, shift: float, given: argparse.Namespace) -> Table:
    """Score the signal region of a sky by each method; print the best improvement of each."""
    config = TrainConfig(preset="fast", device="cpu", retrainings=1)
    source_id = np.arange(len(sky.x), dtype=np.int64)
    stars = PatchStars.prepare(
        sky.x,
        sky.condition,
        source_id,
        scan="pm_lam",
        patch="resonance",
        seed=given.seed,
        features=FEATURES,
        held_out=config.held_out,
    )
    inside = np.flatnonzero((sky.condition[:, 0] >= LOWER) & (sky.condition[:, 0] < UPPER))
    region = SignalRegion("pm_lam", LOWER, UPPER, len(inside), len(sky.x) - len(inside))
    parts = []
    chosen = methods(given.folds, given.epochs)
    for name in METHODS:
        begin = time.process_time()
        if name in chosen:
            trained, _ = train(stars, [region], config, chosen[name])
            scores = score(trained, sky.x, sky.condition, source_id, "cpu")
            log_ratio = np.asarray(scores["log_ratio"])
        else:
            log_ratio = reference(name, sky, stars, inside, shift, given)
        curve = improvement(log_ratio, sky.is_signal[inside])
        best, seconds = curve["sic"].max(), time.process_time() - begin
        print(f"shift {shift:g} {name}: largest improvement {best:.1f} ({seconds:.0f} s)")
        curve["method"], curve["shift"] = name, shift
        parts.append(curve)
    return vstack(parts)


def reference(
    name: str,
    sky: Sky,
    stars: PatchStars,
    inside: np.ndarray,
    shift: float,
    given: argparse.Namespace,
) -> np.ndarray:
    """A score that knows the truth."""
    nets = ClassifierConfig(
        folds=given.folds, epochs=given.epochs, average_best=min(10, given.epochs)
    )
    how = {"seed": np.random.SeedSequence([given.seed, 7]), "device": torch.device("cpu")}
    x = stars.scaling.forward(sky.x[inside])[0].astype(np.float32)
    if name == "supervised":
        return supervised(x, inside, sky.is_signal[inside], nets, **how)
    rng = np.random.default_rng([given.seed, 8])
    true = sky.condition[inside][~sky.is_signal[inside], 0]
    drawn = background(np.repeat(true, OVERSAMPLING), shift, rng)
    z, log_det = stars.scaling.forward(drawn)
    return idealised(x, inside, z[np.isfinite(log_det)].astype(np.float32), nets, **how)


def figure(curves: Table, path: Path) -> None:
    """One panel for each sky, one curve for each method."""
    shifts = np.unique(curves["shift"])
    drawing, axes = plt.subplots(1, len(shifts), figsize=(5 * len(shifts), 4), squeeze=False)
    for axis, shift in zip(axes[0], shifts, strict=True):
        for name in METHODS:
            own = curves[(curves["method"] == name) & (curves["shift"] == shift)]
            axis.plot(own["efficiency"], own["sic"], label=name)
        axis.set(
            title=f"features move by {shift:g}",
            xlabel="efficiency of the signal",
            ylabel="improvement of the significance",
            ylim=(0, None),
        )
    axes[0, 0].legend()
    drawing.tight_layout()
    drawing.savefig(path, dpi=150)
    plt.close(drawing)


def main() -> None:
    """Draw both skies, score them, and write table and figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full numbers")
    parser.add_argument("--shift", type=float, nargs="+", default=[0.0, 1.0])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with one_thread():
        curves = vstack([run(draw(given.scale, s, given.seed), s, given) for s in given.shift])
    curves.write(given.out / "sic.ecsv", overwrite=True)
    figure(curves, given.out / "sic.png")


if __name__ == "__main__":
    sys.exit(main())
