"""nflows: flows of its own classes, with reversals between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from viamachinae.bench.modules import ModulePeer
from viamachinae.flows import Architecture


def nflows_flow(architecture: Architecture) -> nn.Module:
    """The flow in nflows, with the plain form of its MADE."""
    from nflows.distributions import StandardNormal
    from nflows.flows import Flow
    from nflows.transforms import (
        CompositeTransform,
        MaskedAffineAutoregressiveTransform,
        MaskedPiecewiseRationalQuadraticAutoregressiveTransform,
        ReversePermutation,
    )

    d, spline = architecture.features, architecture.spline
    block: Callable[..., nn.Module] = MaskedAffineAutoregressiveTransform
    options: dict[str, Any] = {}
    if spline is not None:
        block = MaskedPiecewiseRationalQuadraticAutoregressiveTransform
        options = {"num_bins": spline.bins, "tails": "linear", "tail_bound": spline.bound}
    transforms: list[nn.Module] = []
    for number in range(architecture.blocks):
        if number:
            transforms.append(ReversePermutation(d))
        transforms.append(
            block(
                features=d,
                hidden_features=architecture.hidden[0],
                context_features=architecture.conditions,
                num_blocks=len(architecture.hidden) - 1,
                use_residual_blocks=False,
                **options,
            )
        )
    flow: nn.Module = Flow(CompositeTransform(transforms), StandardNormal([d]))
    return flow


NFLOWS = ModulePeer(
    "nflows",
    nflows_flow,
    lambda flow, x, condition: flow.log_prob(x, context=condition),
    lambda flow, condition: flow.sample(1, context=condition)[:, 0],
)
