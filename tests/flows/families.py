"""Every family of flow, and wild weights for it: what the contract is held against."""

from __future__ import annotations

import numpy as np
import torch

from viamachinae.flows.architecture import Architecture
from viamachinae.flows.splines import RationalQuadratic
from viamachinae.flows.stack import FlowStack

# A narrow box, so that some of the points lie outside it.
SPLINE = RationalQuadratic(bins=5, bound=2.0)
ARCHITECTURES = [
    Architecture(2, 0, 3, (16,)),
    Architecture(2, 1, 2, (16, 16)),
    Architecture(3, 2, 3, (12,), batch_norm=True),
    Architecture(5, 1, 4, (32, 32)),
    Architecture(8, 3, 2, (24, 24, 24), batch_norm=True),
    Architecture(2, 1, 3, (16,), mixing="lu"),
    Architecture(2, 1, 2, (16,), family="iaf"),
    Architecture(4, 0, 2, (16,), batch_norm=True, family="iaf", mixing="permutation"),
    Architecture(2, 0, 4, (16,), family="affine_coupling"),
    Architecture(5, 2, 3, (16,), family="affine_coupling", mixing="permutation"),
    Architecture(2, 1, 2, (16,), family="rqs_autoregressive"),
    Architecture(2, 1, 2, (16,), family="rqs_autoregressive", base="uniform"),
    Architecture(2, 1, 2, (16,), family="rqs_autoregressive", affine_first=True),
    Architecture(5, 1, 2, (16,), True, family="rqs_autoregressive", spline=SPLINE, mixing="lu"),
    Architecture(2, 1, 2, (16,), family="rqs_coupling", spline=SPLINE),
    Architecture(5, 1, 3, (16,), family="rqs_coupling", mixing="permutation", base="uniform"),
]
FLAT = [architecture for architecture in ARCHITECTURES if architecture.features == 2]


def name(architecture: Architecture) -> str:
    a = architecture
    norm = "-norm" if a.batch_norm else ""
    affine = "-affine" if a.affine_first else ""
    return f"{a.family}-{a.features}d-{a.conditions}c-{a.mixing}-{a.base}{norm}{affine}"


def wild_stack(
    architecture: Architecture, n_models: int, seed: int = 0, spread: float = 0.3
) -> FlowStack:
    """Double precision flows far from the identity, with running statistics of their own."""
    generators = [np.random.default_rng([seed, k]) for k in range(n_models)]
    stack = FlowStack.draw(architecture, generators).double().eval()
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        stack.weights += spread * torch.randn(
            stack.weights.shape, generator=noise, dtype=torch.float64
        )
        stack.statistics += torch.rand(stack.statistics.shape, generator=noise, dtype=torch.float64)
    return stack


def points(architecture: Architecture, n_models: int, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    noise = torch.Generator().manual_seed(9)
    both = architecture.features + architecture.conditions
    drawn = torch.randn(n_models, n, both, generator=noise, dtype=torch.float64)
    return drawn[..., : architecture.features], drawn[..., architecture.features :]
