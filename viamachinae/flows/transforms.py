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

from viamachinae.flows.networks import MaskedMLP, Parameters, Shape

Mapped = tuple[Tensor, Tensor]
Drawn = dict[str, NDArray[np.float64]]

# abs(log scale) of one affine block stays below this. Ours.
LOG_SCALE_BOUND = 5.0
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


@dataclass(frozen=True)
class AffineAutoregressive(Transform):
    """z_i = (x_i - shift_i) exp(-s_i), with shift and s functions of x_1 .. x_(i-1).

    One layer of the masked autoregressive flow (Papamakarios et al. 2017, arXiv:1705.07057,
    section 3). The log scale is bounded smoothly: s = a / (1 + abs(a) / `LOG_SCALE_BOUND`).
    """

    network: MaskedMLP

    def shapes(self) -> dict[str, Shape]:
        """Those of the network."""
        return self.network.shapes()

    def masks(self) -> Mapping[str, NDArray[np.bool_]]:
        """Those of the network."""
        return self.network.masks()

    def draw(self, generator: np.random.Generator, /) -> Drawn:
        """Those of the network."""
        return self.network.draw(generator)

    def forward(self, p: Parameters, x: Tensor, condition: Tensor, /) -> Mapped:
        """Map all features in one pass of the network."""
        shift, log_scale = self._shift_and_scale(p, x, condition)
        return (x - shift) * torch.exp(-log_scale), -log_scale.sum(dim=1)

    def inverse(self, p: Parameters, z: Tensor, condition: Tensor, /) -> Mapped:
        """Map back in d passes: each makes one more feature right, given those before it."""
        x = torch.zeros_like(z)
        for _ in range(self.network.features):
            shift, log_scale = self._shift_and_scale(p, x, condition)
            x = z * torch.exp(log_scale) + shift
        return x, log_scale.sum(dim=1)

    def _shift_and_scale(self, p: Parameters, x: Tensor, condition: Tensor) -> Mapped:
        shift, raw = self.network.apply(p, x, condition).chunk(2, dim=1)
        return shift, raw / (1 + raw.abs() / LOG_SCALE_BOUND)


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


class Reversal(Transform):
    """The features in reverse order, so that the next block conditions the other way round."""

    def forward(self, _p: Parameters, x: Tensor, _condition: Tensor, /) -> Mapped:
        """Reverse; the volume stays."""
        return x.flip(1), x.new_zeros(x.shape[0], x.shape[2])

    def inverse(self, p: Parameters, z: Tensor, condition: Tensor, /) -> Mapped:
        """Reverse again."""
        return self.forward(p, z, condition)
