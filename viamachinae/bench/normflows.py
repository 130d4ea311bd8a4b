"""normflows: its blocks, given conditions and turned round for densities in one pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from viamachinae.bench.modules import ModulePeer
from viamachinae.flows import Architecture


class _Conditioned(nn.Module):
    """normflows' plain MADE, whose first layer sees conditions too.

    That library gives conditions to its residual MADE alone, which has more layers.
    """

    def __init__(self, made: Any, conditions: int, hidden: int) -> None:
        super().__init__()
        self.made = made
        self.context = nn.Linear(conditions, hidden)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Outputs of shape (N, d * outputs of a feature)."""
        units = functional.relu(self.made.initial_layer(x) + self.context(context))
        for block in self.made.blocks:
            units = block(units)
        outputs: Tensor = self.made.final_layer(units)
        return outputs


class _Turned(nn.Module):
    """A block of normflows turned round, so that densities take one pass of its network."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.block = block

    def forward(self, z: Tensor, context: Tensor) -> Any:
        """Latent space to data."""
        return self.block.inverse(z, context)

    def inverse(self, x: Tensor, context: Tensor) -> Any:
        """Data to latent space."""
        return self.block(x, context)


class _Affine(_Turned):
    """An affine block of normflows whose network alone is turned round.

    Its map never widens a feature by more than 0.1 %: turned round too, it could not narrow one,
    and no flow of such blocks would learn these stars.
    """

    def forward(self, z: Tensor, context: Tensor) -> Any:
        """Latent space to data."""
        x, log_det = torch.zeros_like(z), None
        for _ in range(z.shape[1]):
            outputs = self.block.autoregressive_net(x, context)
            x, log_det = self.block._elementwise_forward(z, outputs)
        return x, log_det

    def inverse(self, x: Tensor, context: Tensor) -> Any:
        """Data to latent space."""
        outputs = self.block.autoregressive_net(x, context)
        return self.block._elementwise_inverse(x, outputs)


def normflows_flow(architecture: Architecture) -> nn.Module:
    """The flow in normflows, of its own blocks and layers, conditioned by `_Conditioned`."""
    import normflows
    from normflows.flows.neural_spline.autoregressive import (
        MaskedPiecewiseRationalQuadraticAutoregressive,
    )

    d, spline, hidden = architecture.features, architecture.spline, architecture.hidden
    block: Callable[..., Any] = normflows.flows.MaskedAffineAutoregressive
    options: dict[str, Any] = {}
    if spline is not None:
        block = MaskedPiecewiseRationalQuadraticAutoregressive
        options = {"num_bins": spline.bins, "tails": "linear", "tail_bound": spline.bound}
    layers: list[nn.Module] = []
    for number in range(architecture.blocks):
        if number:
            reversal = normflows.flows.Permute(d)
            reversal.perm = reversal.inv_perm = torch.arange(d - 1, -1, -1)
            layers.append(reversal)
        made = block(d, hidden[0], num_blocks=len(hidden) - 1, use_residual_blocks=False, **options)
        made.autoregressive_net = _Conditioned(
            made.autoregressive_net, architecture.conditions, hidden[0]
        )
        layers.append(_Affine(made) if spline is None else _Turned(made))
    base = normflows.distributions.DiagGaussian(d, trainable=False)
    flow: nn.Module = normflows.ConditionalNormalizingFlow(base, layers[::-1])
    return flow


NORMFLOWS = ModulePeer(
    "normflows",
    normflows_flow,
    lambda flow, x, condition: flow.log_prob(x, context=condition),
    lambda flow, condition: flow.sample(len(condition), context=condition)[0],
)
