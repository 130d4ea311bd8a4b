"""Classifiers of two samples, many at once: they train in the lanes of the flows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import logsigmoid

from viamachinae.flows.architecture import Architecture
from viamachinae.flows.engines import Engine
from viamachinae.flows.lanes import TorchLanes
from viamachinae.flows.networks import MLP, Parameters, Shape
from viamachinae.flows.stack import CHUNK, FlowStack
from viamachinae.flows.transforms import Drawn, Mapped, Transform


@dataclass(frozen=True)
class Reweighting(Transform):
    """Leaves points where they are, and multiplies the density there by exp of a network."""

    network: MLP

    def shapes(self) -> dict[str, Shape]:
        """Those of the network."""
        return self.network.shapes()

    def draw(self, generator: np.random.Generator, /) -> Drawn:
        """A fresh network."""
        return self.network.draw(generator)

    def forward(self, p: Parameters, x: Tensor, _condition: Tensor, /) -> Mapped:
        """The points, and ln of the factor."""
        return x, self.network.apply(p, x).squeeze(1)

    def inverse(self, p: Parameters, z: Tensor, _condition: Tensor, /) -> Mapped:
        """The points, and ln of the inverse of the factor."""
        return z, -self.network.apply(p, z).squeeze(1)


@dataclass(frozen=True)
class ClassifierArchitecture(Architecture):
    """The shape of a classifier: one network with one output, ln of the odds."""

    def transforms(self) -> list[Transform]:
        """The one factor that turns the density of the reference into that of the data."""
        return [Reweighting(MLP(self.features, self.hidden, 1))]


class ClassifierStack(FlowStack):
    """K classifiers; the log-determinant of `forward` is the natural logarithm of the odds.

    Classes that weigh the same in all make the odds the ratio of the two densities.
    """

    def log_prob(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Weighted ln of the probability of each point's class, shape (K, N).

        Parameters
        ----------
        x : Tensor of shape (K, N, d)
        condition : Tensor of shape (K, N, 1)
            Weight of the point in the likelihood; that of the reference class with a minus sign.
        """
        if condition is None:
            raise ValueError("a classifier needs the signed weights of its points")
        weight = condition.squeeze(-1)
        return weight.abs() * logsigmoid(weight.sign() * self.forward(x)[1])

    @torch.no_grad()
    def average_log_odds(self, x: Tensor) -> Tensor:
        """Natural logarithm of the odds of the mean of all K probabilities at the same points.

        Parameters
        ----------
        x : Tensor of shape (N, d)

        Returns
        -------
        Tensor of shape (N,)
        """
        parts = []
        for stars in torch.split(x, max(1, CHUNK // self.n_models)):
            log_odds = self.forward(stars.expand(self.n_models, -1, -1))[1].double()
            parts.append(logsigmoid(log_odds).logsumexp(0) - logsigmoid(-log_odds).logsumexp(0))
        return torch.cat(parts)


def signed_weights(is_data: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Weights with which both classes weigh the same, 1 on average; minus for the reference.

    Parameters
    ----------
    is_data : ndarray of shape (N,), bool
        Some of each class.
    """
    share = is_data.mean()
    weights: NDArray[np.float32] = np.where(is_data, 0.5 / share, -0.5 / (1 - share)).astype("f4")
    return weights


CLASSIFIERS = Engine("torch", ClassifierStack, TorchLanes)
