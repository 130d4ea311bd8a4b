"""Adam for stacked models: each row is a model with a step count of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

# Usual values of Adam (Kingma & Ba 2015, arXiv:1412.6980).
BETA_MEAN = 0.9
BETA_SQUARE = 0.999
EPSILON = 1e-8


@dataclass
class AdamState:
    """Moments of the gradients of K models.

    Attributes
    ----------
    mean, square : Tensor of shape (K, P)
        Running first and second moments.
    step : Tensor of shape (K, 1)
        Updates made so far.
    """

    mean: Tensor
    square: Tensor
    step: Tensor

    @classmethod
    def fresh(cls, weights: Tensor) -> Self:
        """The state before the first update of weights of shape (K, P)."""
        zero = torch.zeros_like(weights, requires_grad=False)
        return cls(zero, zero.clone(), zero.new_zeros(len(weights), 1))

    def select(self, rows: Sequence[int]) -> AdamState:
        """A copy of some of the models' states."""
        index = torch.as_tensor(rows, dtype=torch.int64, device=self.mean.device)
        return AdamState(self.mean[index], self.square[index], self.step[index])

    def put(self, row: int, other: AdamState) -> None:
        """Replace one model's state by the only one of `other`."""
        self.mean[row], self.square[row], self.step[row] = (
            other.mean[0],
            other.square[0],
            other.step[0],
        )


@torch.no_grad()
def clip_by_model(gradient: Tensor, max_norm: float) -> None:
    """Shorten, in place, each row of (K, P) that is longer than `max_norm`."""
    norm = gradient.norm(dim=1, keepdim=True)
    gradient.mul_((max_norm / (norm + EPSILON)).clamp_(max=1.0))


@torch.no_grad()
def adam_step(
    weights: Tensor,
    gradient: Tensor,
    state: AdamState,
    learning_rate: float | Tensor,
    weight_decay: float,
) -> None:
    """One Adam update of each row, in place.

    Parameters
    ----------
    weights, gradient : Tensor of shape (K, P)
    state : AdamState
    learning_rate : float or Tensor of shape (K, 1)
    weight_decay : float
        Added to the gradient as this times the weight (L2, as in ANODE's use of Adam).
    """
    gradient = gradient.add(weights, alpha=weight_decay)
    state.step += 1
    state.mean.lerp_(gradient, 1 - BETA_MEAN)
    state.square.lerp_(gradient.square(), 1 - BETA_SQUARE)
    # Both bias corrections, model by model, moved into the rate and the floor.
    root = torch.sqrt(1 - BETA_SQUARE**state.step)
    rate = learning_rate * root / (1 - BETA_MEAN**state.step)
    weights.sub_(state.mean.mul(rate).div_(state.square.sqrt().add_(EPSILON * root)))
