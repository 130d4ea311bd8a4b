"""Monotonic maps of single features, whose raw parameters a network gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Mapped = tuple[Tensor, Tensor]

# abs(log scale) of one affine block stays below this. Ours.
LOG_SCALE_BOUND = 5.0


class Univariate(Protocol):
    """An increasing map of every feature of every star by raw parameters of its own.

    Shapes: features (K, d, N), raw parameters (K, `parameters`, d, N). Any raw parameters are
    valid ones; zeros give the identity.
    """

    @property
    def parameters(self) -> int:
        """Raw parameters of one feature."""

    def forward(self, raw: Tensor, x: Tensor, /) -> Mapped:
        """Map x to z, with ln(dz/dx) of every feature."""

    def inverse(self, raw: Tensor, z: Tensor, /) -> Mapped:
        """Map z to x, with ln(dx/dz) of every feature."""

    def outside(self, _raw: Tensor, x: Tensor, /) -> Tensor:
        """Which features lie where the map is not flexible, bool."""
        return torch.zeros_like(x, dtype=torch.bool)


@dataclass(frozen=True)
class Affine(Univariate):
    """z = (x - shift) exp(-s), with the log scale s = a / (1 + abs(a) / `LOG_SCALE_BOUND`).

    The map of the masked autoregressive flow (Papamakarios et al. 2017, arXiv:1705.07057,
    section 3), with a smooth bound on the log scale.
    """

    @property
    def parameters(self) -> int:
        """The shift and a."""
        return 2

    def forward(self, raw: Tensor, x: Tensor, /) -> Mapped:
        """Shift, then scale."""
        shift, log_scale = _shift_and_scale(raw)
        return (x - shift) * torch.exp(-log_scale), -log_scale

    def inverse(self, raw: Tensor, z: Tensor, /) -> Mapped:
        """Scale back, then shift."""
        shift, log_scale = _shift_and_scale(raw)
        return z * torch.exp(log_scale) + shift, log_scale


@dataclass(frozen=True)
class Chain(Univariate):
    """Two maps in turn, each with raw parameters of its own.

    An affine map before a spline moves the box of the spline to where the feature is, given
    those before it, and bends its tails, which are straight.
    """

    first: Univariate
    second: Univariate

    @property
    def parameters(self) -> int:
        """Those of both."""
        return self.first.parameters + self.second.parameters

    def forward(self, raw: Tensor, x: Tensor, /) -> Mapped:
        """The first, then the second."""
        first, second = self._split(raw)
        between, log_slope = self.first.forward(first, x)
        z, more = self.second.forward(second, between)
        return z, log_slope + more

    def inverse(self, raw: Tensor, z: Tensor, /) -> Mapped:
        """Undo the second, then the first."""
        first, second = self._split(raw)
        between, log_slope = self.second.inverse(second, z)
        x, more = self.first.inverse(first, between)
        return x, log_slope + more

    def outside(self, raw: Tensor, x: Tensor, /) -> Tensor:
        """Which features lie outside for either."""
        first, second = self._split(raw)
        between, _ = self.first.forward(first, x)
        return self.first.outside(first, x) | self.second.outside(second, between)

    def _split(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        sizes = [self.first.parameters, self.second.parameters]
        first, second = torch.split(raw, sizes, dim=1)
        return first, second


def _shift_and_scale(raw: Tensor) -> tuple[Tensor, Tensor]:
    shift, scale = raw.unbind(dim=1)
    return shift, scale / (1 + scale.abs() / LOG_SCALE_BOUND)
