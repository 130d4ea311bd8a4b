"""The density of what a background density leaves in a signal region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from viamachinae.flows.architecture import Architecture
from viamachinae.flows.stack import FlowStack
from viamachinae.score.conditions import ConditionDensity

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SignalFlows:
    """For each signal region, a flow of its signal over features and condition together.

    Attributes
    ----------
    architecture : Architecture
        Of d + 1 features, the last of which is the condition, and no condition.
    weights, statistics : Tensor of shapes (R, A, P) and (R, A, S), float32
        A snapshots of each flow, whose densities are averaged.
    share : Tensor of shape (R, A), float32
        Learned share of the signal among the region's stars, by snapshot.
    conditions : list of R ConditionDensity
        Density of the scaled condition of the region's stars, which the background has.
    failed : ndarray of shape (R,), bool
    """

    architecture: Architecture
    weights: Tensor
    statistics: Tensor
    share: Tensor
    conditions: list[ConditionDensity]
    failed: NDArray[np.bool_]

    def log_ratio(self, row: int, z: Tensor, given: Tensor, log_cr: Array) -> Array:
        """Natural logarithm of p_sig / p_background of scaled stars, shape (N,).

        Parameters
        ----------
        row : int
            Of the region.
        z, given : Tensor of shapes (N, d) and (N, 1)
        log_cr : ndarray of shape (N,), float64
            Of their features given the condition.
        """
        stack = FlowStack(self.architecture, self.weights[row], self.statistics[row]).eval()
        joint = torch.cat([z, given], dim=1)
        log_signal = stack.to(z.device).average_log_prob(joint, joint[:, :0])
        condition = given[:, 0].double().cpu().numpy()
        background = log_cr + self.conditions[row].log_pdf(condition)
        ratio: Array = log_signal.cpu().numpy().astype(np.float64) - background
        return ratio

    def signal_share(self, row: int) -> float:
        """The share of signal in a region, averaged over the snapshots."""
        return float(self.share[row].double().mean())
