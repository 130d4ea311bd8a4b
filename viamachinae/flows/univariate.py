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

    def outside(self, x: Tensor, /) -> Tensor:
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


def _shift_and_scale(raw: Tensor) -> tuple[Tensor, Tensor]:
    shift, scale = raw.unbind(dim=1)
    return shift, scale / (1 + scale.abs() / LOG_SCALE_BOUND)
