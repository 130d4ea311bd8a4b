"""The densities of latent space."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi
from typing import Protocol

import torch
from torch import Tensor

# A latent point may lie this share of the bound outside the box: rounding in float32.
EDGE = 1e-5


class Base(Protocol):
    """A density of independent features."""

    def log_prob(self, z: Tensor, /) -> Tensor:
        """Natural logarithm of the density of `z` (..., d), shape (...)."""

    def draw(self, shape: tuple[int, ...], like: Tensor, generator: torch.Generator, /) -> Tensor:
        """Latent points on the generator's device, of the dtype of `like`."""


@dataclass(frozen=True)
class Normal(Base):
    """The standard normal density."""

    def log_prob(self, z: Tensor, /) -> Tensor:
        """Of a sum of squares."""
        return -0.5 * (z.square().sum(dim=-1) + z.shape[-1] * log(2 * pi))

    def draw(self, shape: tuple[int, ...], like: Tensor, generator: torch.Generator, /) -> Tensor:
        """Normal numbers."""
        return torch.randn(shape, generator=generator, dtype=like.dtype, device=generator.device)


@dataclass(frozen=True)
class Uniform(Base):
    """The uniform density on the box [-bound, bound]; there is none outside."""

    bound: float

    def log_prob(self, z: Tensor, /) -> Tensor:
        """The same everywhere inside, -inf outside."""
        inside = (z.abs() <= self.bound * (1 + EDGE)).all(dim=-1)
        return torch.where(inside, -z.shape[-1] * log(2 * self.bound), -torch.inf).to(z)

    def draw(self, shape: tuple[int, ...], like: Tensor, generator: torch.Generator, /) -> Tensor:
        """Uniform numbers."""
        share = torch.rand(shape, generator=generator, dtype=like.dtype, device=generator.device)
        return self.bound * (2 * share - 1)
