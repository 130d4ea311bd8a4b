"""Mixtures of Gaussians: conditional ones, joint ones, and their fit to stars."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp, softmax
from scipy.stats import rankdata

Array = NDArray[np.float64]
LOG_2PI = float(np.log(2 * np.pi))


class Mixture(NamedTuple):
    """Gaussians whose weights and means, not covariances, follow the condition.

    Attributes
    ----------
    log_weights : callable
        Conditions (n,) to (n, K); exponentials sum to 1.
    means : callable
        Conditions (n,) to (n, K, d).
    roots : ndarray of shape (K, d, d)
        Cholesky factors of the covariances.
    """

    log_weights: Callable[[Array], Array]
    means: Callable[[Array], Array]
    roots: Array

    def draw(self, c: Array, rng: np.random.Generator) -> Array:
        """One point for each condition, shape (n, d)."""
        return np.concatenate([self._draw(part, rng) for part in _chunks(c)])

    def draw_at(self, c: float, n: int, rng: np.random.Generator) -> Array:
        """So many points at one condition, sorted by component, shape (n, d)."""
        one = np.array([c])
        which = np.repeat(
            np.arange(len(self.roots)), rng.multinomial(n, np.exp(self.log_weights(one)[0]))
        )
        return self.means(one)[0, which] + self._noise(which, rng)

    def log_prob(self, x: Array, c: Array) -> Array:
        """Natural logarithm of p(x | c), shape (n,)."""
        parts = zip(_chunks(x), _chunks(c), strict=True)
        return np.concatenate([self._log_prob(*part) for part in parts])

    def _draw(self, c: Array, rng: np.random.Generator) -> Array:
        ends = np.exp(self.log_weights(c)).cumsum(axis=1)
        which = (rng.random((len(c), 1)) > ends[:, :-1]).sum(axis=1)
        return self.means(c)[np.arange(len(c)), which] + self._noise(which, rng)

    def _noise(self, which: NDArray[np.int64], rng: np.random.Generator) -> Array:
        noise = rng.standard_normal((len(which), self.roots.shape[1]))
        return np.asarray(np.einsum("nij,nj->ni", self.roots[which], noise))

    def _log_prob(self, x: Array, c: Array) -> Array:
        z = np.einsum("kij,nkj->nki", np.linalg.inv(self.roots), x[:, None] - self.means(c))
        log_det = np.log(np.diagonal(self.roots, axis1=1, axis2=2)).sum(axis=1)
        kernel = -0.5 * ((z**2).sum(axis=2) + x.shape[1] * LOG_2PI) - log_det
        return np.asarray(logsumexp(self.log_weights(c) + kernel, axis=1))


def _chunks(array: Array) -> list[Array]:
    """Parts of few enough rows that all components of all rows fit in little memory."""
    return [array[i : i + 5000] for i in range(0, len(array), 5000)]


class Joint(NamedTuple):
    """A mixture of Gaussians over features and, last, the condition."""

    weights: Array
    means: Array
    covariances: Array

    def given_condition(self) -> Mixture:
        """The mixture given the last column, by the rule for conditional Gaussians."""
        variance = self.covariances[:, -1, -1]
        slope = self.covariances[:, :-1, -1] / variance[:, None]
        rest = self.covariances[:, :-1, :-1] - np.einsum("ki,kj,k->kij", slope, slope, variance)

        def log_weights(c: Array) -> Array:
            z2 = (c[:, None] - self.means[:, -1]) ** 2 / variance
            return np.asarray(
                log_softmax(np.log(self.weights) - 0.5 * (z2 + np.log(variance)), axis=1)
            )

        def means(c: Array) -> Array:
            return self.means[:, :-1] + slope * (c[:, None, None] - self.means[:, -1:])

        return Mixture(log_weights, means, np.linalg.cholesky(rest))

    def draw_condition(self, n: int, rng: np.random.Generator) -> Array:
        """Conditions from their own density, shape (n,)."""
        which = rng.choice(len(self.weights), n, p=self.weights)
        spread = np.sqrt(self.covariances[which, -1, -1])
        return self.means[which, -1] + spread * rng.standard_normal(n)


def fit_mixture(x: Array, components: int, rounds: int, rng: np.random.Generator) -> Joint:
    """Expectation and maximisation (Dempster, Laird & Rubin 1977), from stars as seeds."""
    ranks = rankdata(x, axis=0) / len(x)
    seeds = ranks[rng.choice(len(x), components, replace=False)]
    nearest = ((ranks[:, None] - seeds) ** 2).sum(axis=2).argmin(axis=1)
    share = np.eye(components)[nearest]
    floor = np.diag((1e-2 * np.subtract(*np.percentile(x, [84, 16], axis=0))) ** 2)
    for _ in range(rounds):
        total = share.sum(axis=0) + 1e-9
        means = share.T @ x / total[:, None]
        outer = np.stack([(share[:, [k]] * (x - means[k])).T @ (x - means[k])
                          for k in range(components)])  # fmt: skip
        joint = Joint(total / total.sum(), means, outer / total[:, None, None] + floor)
        share = _responsibilities(joint, x)
    return joint


def _responsibilities(joint: Joint, x: Array) -> Array:
    log_share = np.empty((len(x), len(joint.weights)))
    for k, (weight, mean, root) in enumerate(
        zip(joint.weights, joint.means, np.linalg.cholesky(joint.covariances), strict=True)
    ):
        z = (x - mean) @ np.linalg.inv(root).T
        log_share[:, k] = np.log(weight) - 0.5 * (z**2).sum(axis=1) - np.log(np.diag(root)).sum()
    return np.asarray(softmax(log_share, axis=1))
