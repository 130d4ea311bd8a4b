"""Conditional densities that flows learn from samples, against analytic truth."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import norm, truncexpon

from viamachinae.flows.architecture import Architecture
from viamachinae.flows.lanes import FitOptions
from viamachinae.flows.rows import Rows, Stars, Task
from viamachinae.flows.scaling import Scaling, Standardisation
from viamachinae.flows.stack import FlowStack
from viamachinae.flows.training import fit

N_TRAIN, N_TEST = 8000, 4000
ARCHITECTURES = {
    "maf": Architecture(2, 1, 6, (32, 32)),
    "rqs_autoregressive": Architecture(2, 1, 2, (32, 32), family="rqs_autoregressive"),
    "rqs_coupling": Architecture(2, 1, 4, (32, 32), family="rqs_coupling"),
}
# Angles along the arcs of the moons and along the arms of the spiral.
ANGLES, TURNS = np.linspace(0, np.pi, 400), np.linspace(1, 2 * np.pi, 400)


def log_density_about(curve: np.ndarray, noise: float, x: np.ndarray) -> np.ndarray:
    """Gaussian noise about a curve (P, n, 2), one for each of n points, integrated along it."""
    square = ((x[None] - curve) ** 2).sum(axis=2)
    kernel = -0.5 * square / noise**2 - np.log(2 * np.pi * noise**2)
    return logsumexp(kernel, axis=0) - np.log(len(curve))


class MovingMixture:
    """Two clumps that pass one another as the condition grows."""

    def draw(self, c: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        side = np.where(rng.random(len(c)) < 0.3, -1.0, 1.0)
        mean = np.column_stack([side * c, side * 1.5])
        return mean + 0.4 * rng.normal(size=mean.shape)

    def log_prob(self, x: np.ndarray, c: np.ndarray) -> np.ndarray:
        clumps = [
            np.log(weight)
            + norm.logpdf(x[:, 0], side * c, 0.4)
            + norm.logpdf(x[:, 1], side * 1.5, 0.4)
            for weight, side in ((0.3, -1), (0.7, 1))
        ]
        return logsumexp(clumps, axis=0)


class Moons:
    """Two half circles, the second moved by the condition, with Gaussian noise."""

    NOISE = 0.15

    def arcs(self, angle: np.ndarray, c: np.ndarray) -> list[np.ndarray]:
        first = np.stack([np.cos(angle) + 0 * c, np.sin(angle) + 0 * c], axis=-1)
        second = np.stack([1 - np.cos(angle) + 0.3 * c, 0.5 - np.sin(angle) + 0 * c], axis=-1)
        return [first, second]

    def draw(self, c: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        first, second = self.arcs(rng.uniform(0, np.pi, len(c)), c)
        x = np.where(rng.random(len(c))[:, None] < 0.5, first, second)
        return x + self.NOISE * rng.normal(size=x.shape)

    def log_prob(self, x: np.ndarray, c: np.ndarray) -> np.ndarray:
        return log_density_about(np.concatenate(self.arcs(ANGLES[:, None], c[None])), self.NOISE, x)


class Spirals:
    """Two arms of five sixths of a turn, which rotate with the condition, with Gaussian noise."""

    NOISE = 0.3

    def arms(self, angle: np.ndarray, c: np.ndarray) -> np.ndarray:
        turned = angle + 0.5 * c
        return 0.5 * angle[..., None] * np.stack([np.cos(turned), np.sin(turned)], axis=-1)

    def draw(self, c: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        side = np.where(rng.random(len(c)) < 0.5, -1.0, 1.0)[:, None]
        x = side * self.arms(rng.uniform(TURNS[0], TURNS[-1], len(c)), c)
        return x + self.NOISE * rng.normal(size=x.shape)

    def log_prob(self, x: np.ndarray, c: np.ndarray) -> np.ndarray:
        arm = self.arms(TURNS[:, None], c[None])
        return log_density_about(np.concatenate([arm, -arm]), self.NOISE, x)


class TruncatedEdge:
    """Highest density at a sharp edge, as magnitudes at a survey's limit."""

    def draw(self, c: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        edge = -truncexpon.rvs(3.0, size=len(c), random_state=rng)
        return np.column_stack([edge, edge + c + 0.5 * rng.normal(size=len(c))])

    def log_prob(self, x: np.ndarray, c: np.ndarray) -> np.ndarray:
        return truncexpon.logpdf(-x[:, 0], 3.0) + norm.logpdf(x[:, 1], x[:, 0] + c, 0.5)


def nats_from_truth(truth, architecture: Architecture) -> float:
    """The Kullback-Leibler divergence over test points, in natural units."""
    rng = np.random.default_rng(5)
    c = np.sort(rng.normal(size=N_TRAIN + N_TEST).clip(-2.5, 2.5))
    x = truth.draw(c, rng)
    held_out = rng.permutation(len(c)) < N_TEST
    scaling, standard = Scaling.fit(x), Standardisation.fit(c[:, None])
    z, log_det = scaling.forward(x)
    rows = np.column_stack([z, standard.forward(c[:, None])]).astype(np.float32)
    stars = Stars(torch.from_numpy(rows[~held_out]), torch.from_numpy(rows[held_out]))
    options = FitOptions(1e-2, 0.0, 256, 12, 3, 1, schedule="cosine")
    task = Task(Rows(0, N_TRAIN), Rows(0, N_TEST), np.random.SeedSequence(1))
    fitted = fit(architecture, stars, [task], options)
    stack = FlowStack(architecture, fitted.weights[0], fitted.statistics[0]).eval()
    learned = stack.average_log_prob(stars.held_out[:, :2], stars.held_out[:, 2:]).numpy()
    return float(np.mean(truth.log_prob(x[held_out], c[held_out]) - learned - log_det[held_out]))


# Affine maps cannot tear a density apart: a bridge stays between clumps, moons and arms. The
# second bound is for the spirals.
MOST = {"maf": (0.2, 0.6), "rqs_autoregressive": (0.06, 0.25), "rqs_coupling": (0.06, 0.15)}
QUICK = {("maf", MovingMixture), ("maf", TruncatedEdge), ("rqs_autoregressive", Moons)}


@pytest.mark.parametrize(
    ("family", "truth"),
    [
        pytest.param(family, truth, marks=[] if (family, truth) in QUICK else pytest.mark.slow)
        for family in MOST
        for truth in (MovingMixture, Moons, Spirals, TruncatedEdge)
    ],
)
def test_a_conditional_density_is_learned(family, truth):
    nats = nats_from_truth(truth(), ARCHITECTURES[family])
    assert -0.01 < nats < MOST[family][truth is Spirals]


def test_the_true_density_of_the_spirals_integrates_to_one():
    side = np.linspace(-5, 5, 101)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    density = np.exp(Spirals().log_prob(grid, np.full(len(grid), 0.7)))
    assert density.sum() * 0.1**2 == pytest.approx(1, abs=1e-6)
