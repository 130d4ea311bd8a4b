"""The shapes of flows that the tests of the engines share, and wild weights for them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from viamachinae.flows.architecture import Architecture
from viamachinae.flows.native import NativeStack
from viamachinae.flows.splines import RationalQuadratic
from viamachinae.flows.stack import FlowStack
from viamachinae.flows.variants import VARIANTS, built_variants

built = pytest.mark.skipif(
    not built_variants(), reason="the native engine was not built with this installation"
)


def spline(features, conditions, blocks, hidden, curve, **more) -> Architecture:
    family = "rqs_autoregressive"
    return Architecture(features, conditions, blocks, hidden, family=family, spline=curve, **more)


ARCHITECTURES = [
    Architecture(2, 0, 3, (16,)),
    Architecture(2, 0, 1, (1,)),
    Architecture(2, 1, 2, (3, 5)),
    Architecture(3, 2, 3, (13,), batch_norm=True),
    Architecture(5, 1, 8, (64, 64)),
    Architecture(5, 1, 3, (128,)),
    Architecture(5, 1, 3, (47,), batch_norm=True),
    Architecture(7, 2, 2, (30, 6, 50)),
    Architecture(8, 3, 2, (24, 50, 7), batch_norm=True),
    Architecture(4, 1, 4, (24,), mixing="permutation"),
    spline(2, 0, 1, (8,), RationalQuadratic(2)),
    spline(2, 1, 3, (16,), RationalQuadratic(3, bound=1.0), affine_first=True),
    spline(5, 1, 2, (64, 64), RationalQuadratic(8), affine_first=True),
    spline(5, 1, 3, (64, 64), RationalQuadratic(8, bound=2.5)),
    spline(3, 2, 2, (7, 30, 5), RationalQuadratic(17, 3.0, 0.01, 0.02, 0.1), affine_first=True),
    spline(7, 0, 2, (33,), RationalQuadratic(5), mixing="permutation"),
    spline(4, 1, 2, (20,), RationalQuadratic(4), affine_first=True, batch_norm=True),
]
SMALL = Architecture(2, 1, 2, (12,))
SPLINES = spline(2, 1, 2, (12,), RationalQuadratic(6, bound=2.0), affine_first=True)
each_variant = pytest.mark.parametrize(
    "variant",
    [
        pytest.param(
            variant,
            marks=pytest.mark.skipif(
                variant not in built_variants(),
                reason=f"{variant} was not built, or this processor cannot run it",
            ),
        )
        for variant in VARIANTS
    ],
)


def wild_stack(architecture: Architecture, n_models: int = 2) -> FlowStack:
    """Double precision flows away from the identity, with running statistics of their own."""
    generators = [np.random.default_rng([7, k]) for k in range(n_models)]
    stack = FlowStack.draw(architecture, generators).double().eval()
    noise = torch.Generator().manual_seed(7)
    with torch.no_grad():
        # Masked weights are moved too: they must not matter.
        stack.weights += 0.1 * torch.randn(
            stack.weights.shape, generator=noise, dtype=torch.float64
        )
        stack.statistics += torch.rand(stack.statistics.shape, generator=noise, dtype=torch.float64)
    return stack


def native(stack: FlowStack) -> NativeStack:
    weights = stack.weights.detach().float()
    return NativeStack(stack.architecture, weights, stack.statistics.float()).eval()


def points(architecture: Architecture, n: int, n_models: int = 2) -> torch.Tensor:
    both = architecture.features + architecture.conditions
    noise = torch.Generator().manual_seed(9)
    return torch.randn(n_models, n, both, generator=noise)
