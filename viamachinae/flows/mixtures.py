"""Flows that learn what a fixed density leaves: p = w p_flow + (1 - w) p_fixed (2312.11629)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import logit
from torch import Tensor
from torch.nn.functional import logsigmoid

from viamachinae.flows.architecture import Architecture
from viamachinae.flows.engines import Engine
from viamachinae.flows.lanes import TorchLanes
from viamachinae.flows.networks import Parameters, Shape
from viamachinae.flows.stack import FlowStack
from viamachinae.flows.transforms import Drawn, Mapped, Transform


@dataclass(frozen=True)
class Share(Transform):
    """Holds the learned share w of the flow as its logit, and leaves stars as they are."""

    initial: float

    def shapes(self) -> dict[str, Shape]:
        """One number."""
        return {"logit": (1,)}

    def draw(self, _generator: np.random.Generator, /) -> Drawn:
        """The share to begin with."""
        return {"logit": np.array([logit(self.initial)])}

    def forward(self, _p: Parameters, x: Tensor, _condition: Tensor, /) -> Mapped:
        """The identity."""
        return x, x.new_zeros(x.shape[0], x.shape[2])

    def inverse(self, _p: Parameters, z: Tensor, _condition: Tensor, /) -> Mapped:
        """The identity."""
        return z, z.new_zeros(z.shape[0], z.shape[2])


@dataclass(frozen=True)
class MixtureArchitecture(Architecture):
    """A flow without conditions, preceded by its share of the mixture.

    Attributes
    ----------
    initial_share : float
        w before training, between 0 and 1.
    """

    initial_share: float = 0.01

    def transforms(self) -> list[Transform]:
        """The share, which is the first weight of a model, then those of the flow."""
        return [Share(self.initial_share), *super().transforms()]


class MixtureStack(FlowStack):
    """K flows, each mixed with a fixed density that comes along with the points."""

    def log_prob(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Natural logarithm of the density of the mixture, shape (K, N).

        Parameters
        ----------
        x : Tensor of shape (K, N, d)
        condition : Tensor of shape (K, N, 1)
            ln of the fixed density at each point.
        """
        if condition is None:
            raise ValueError("a mixture needs the fixed density at its points")
        share = self.weights[:, :1]
        return torch.logaddexp(
            logsigmoid(share) + super().log_prob(x), logsigmoid(-share) + condition.squeeze(-1)
        )


class Parted(NamedTuple):
    """The parts of trained mixtures.

    Attributes
    ----------
    architecture : Architecture
        Of the flows alone.
    weights : Tensor of shape (..., P)
        Theirs.
    share : Tensor of shape (...)
        w.
    """

    architecture: Architecture
    weights: Tensor
    share: Tensor


def part_mixture(architecture: MixtureArchitecture, weights: Tensor) -> Parted:
    """Take trained mixtures apart; `weights` has shape (..., 1 + P)."""
    given = architecture.to_dict()
    del given["initial_share"]
    return Parted(
        Architecture.from_dict(given), weights[..., 1:].contiguous(), weights[..., 0].sigmoid()
    )


MIXTURES = Engine("torch", MixtureStack, TorchLanes)
