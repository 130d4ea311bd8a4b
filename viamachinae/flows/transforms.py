"""Invertible maps of stars, each for many models at once, with their log-determinants.

A transform holds no numbers: its parameters are passed in, K models stacked along the first
axis. Stars are the last axis (see `networks`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from viamachinae.flows.networks import Parameters, Shape

Mapped = tuple[Tensor, Tensor]
Drawn = dict[str, NDArray[np.float64]]

# Usual values of batch norm (Ioffe & Szegedy 2015, arXiv:1502.03167).
BATCH_NORM_EPSILON = 1e-5
BATCH_NORM_MOMENTUM = 0.1


class Transform(Protocol):
    """An invertible map from data x to latent z, given a condition.

    Shapes: x and z (K, d, N), condition (K, m, N), log-determinants (K, N). The defaults are
    those of a map without parameters.
    """

    def shapes(self) -> dict[str, Shape]:
        """Shapes of one model's learned parameters, by name."""
        return {}

    def statistics(self) -> dict[str, Shape]:
        """Shapes of one model's running statistics, which no gradient changes."""
        return {}

    def masks(self) -> Mapping[str, NDArray[np.bool_]]:
        """Masks of those parameters that have one."""
        return {}

    def draw(self, _generator: np.random.Generator, /) -> Drawn:
        """Initial parameters and statistics of one model."""
        return {}

    def follow(self, p: Parameters, _x: Tensor, /) -> Parameters:
        """In training, the parameters to use on a batch; running statistics take it in."""
        return p

    def forward(self, p: Parameters, x: Tensor, condition: Tensor, /) -> Mapped:
        """Map x to z, with ln abs(dz/dx)."""

    def inverse(self, p: Parameters, z: Tensor, condition: Tensor, /) -> Mapped:
        """Map z to x, with ln abs(dx/dz)."""

    def outside(self, _p: Parameters, x: Tensor, _condition: Tensor, /) -> Tensor:
        """Stars of which some feature lies where the map is not flexible, bool (K, N)."""
        return x.new_zeros(x.shape[0], x.shape[2], dtype=torch.bool)


@dataclass(frozen=True)
class BatchNorm(Transform):
    """z = (x - mean) / sqrt(var + epsilon) * exp(gain) + offset, feature by feature.

    As a layer of a flow (arXiv:1705.07057, section 3.4): in training, mean and variance are
    the batch's; else running averages, so that a star's density depends on itself alone.
    """

    features: int

    def shapes(self) -> dict[str, Shape]:
        """The learned gain and offset."""
        return {"gain": (self.features,), "offset": (self.features,)}

    def statistics(self) -> dict[str, Shape]:
        """The running mean and variance."""
        return {"mean": (self.features,), "var": (self.features,)}

    def draw(self, _generator: np.random.Generator, /) -> Drawn:
        """The identity."""
        zero, one = np.zeros(self.features), np.ones(self.features)
        return {"gain": zero, "offset": zero, "mean": zero, "var": one}

    def follow(self, p: Parameters, x: Tensor, /) -> Parameters:
        """Take the batch's mean and variance, and move the running ones towards them."""
        var, mean = torch.var_mean(x, dim=2, correction=0)
        with torch.no_grad():
            p["mean"].lerp_(mean, BATCH_NORM_MOMENTUM)
            p["var"].lerp_(var, BATCH_NORM_MOMENTUM)
        return {**p, "mean": mean, "var": var}

    def forward(self, p: Parameters, x: Tensor, _condition: Tensor, /) -> Mapped:
        """Normalise."""
        log_slope = p["gain"] - 0.5 * torch.log(p["var"] + BATCH_NORM_EPSILON)
        z = (x - p["mean"].unsqueeze(-1)) * torch.exp(log_slope).unsqueeze(-1)
        log_det = log_slope.sum(dim=1, keepdim=True).expand(-1, x.shape[2])
        return z + p["offset"].unsqueeze(-1), log_det

    def inverse(self, p: Parameters, z: Tensor, _condition: Tensor, /) -> Mapped:
        """Undo the normalisation."""
        log_slope = p["gain"] - 0.5 * torch.log(p["var"] + BATCH_NORM_EPSILON)
        x = (z - p["offset"].unsqueeze(-1)) * torch.exp(-log_slope).unsqueeze(-1)
        log_det = -log_slope.sum(dim=1, keepdim=True).expand(-1, z.shape[2])
        return x + p["mean"].unsqueeze(-1), log_det
