"""The peers that stand on torch: zuko, nflows and normflows.

Each builds the flow of an `Architecture` from its own classes, one model at a time, and trains
it with torch's fused Adam.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from viamachinae.bench.library import Floats, Flows, Index, Library, Recipe
from viamachinae.flows import Architecture

Build = Callable[[Architecture], nn.Module]
LogProb = Callable[[Any, Tensor, Tensor], Tensor]
Sample = Callable[[Any, Tensor], Tensor]


class ModuleFlows(Flows):
    """One flow that is a torch module.

    Parameters
    ----------
    module : Module
    log_prob : callable
        From the module, x (N, d) and conditions (N, m) to ln p (N,).
    sample : callable
        From the module and conditions (N, m) to x (N, d).
    stars : ndarray of shape (N, d + m)
    features : int
    recipe : Recipe
    """

    def __init__(
        self,
        module: nn.Module,
        log_prob: LogProb,
        sample: Sample,
        stars: Floats,
        features: int,
        recipe: Recipe,
    ) -> None:
        self.module, self._log_prob, self._sample = module, log_prob, sample
        self.stars = torch.from_numpy(stars)
        self.features = features
        self.adam = torch.optim.Adam(module.parameters(), lr=recipe.learning_rate, fused=True)
        steps = recipe.steps
        self.schedule = (
            torch.optim.lr_scheduler.CosineAnnealingLR(self.adam, steps) if steps else None
        )

    def train(self, order: Index, /) -> None:
        """Steps of Adam on the mean of -ln p."""
        for rows in torch.from_numpy(order[0]):
            stars = self.stars.index_select(0, rows)
            x, condition = stars[:, : self.features], stars[:, self.features :]
            loss = -self._log_prob(self.module, x, condition).mean()
            self.adam.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.adam.step()
            if self.schedule is not None:
                self.schedule.step()

    @torch.no_grad()
    def log_prob(self, stars: Floats, /) -> Floats:
        """Ln p of stars (1, N, d + m)."""
        rows = torch.from_numpy(stars[0])
        found = self._log_prob(self.module, rows[:, : self.features], rows[:, self.features :])
        return np.asarray(found)[None]

    @torch.no_grad()
    def sample(self, condition: Floats, /) -> Floats:
        """One sample for each condition of (1, N, m)."""
        return np.asarray(self._sample(self.module, torch.from_numpy(condition[0])))[None]


class ModulePeer(Library):
    """A peer that stands on torch and trains one model after the other."""

    def __init__(self, name: str, build: Build, log_prob: LogProb, sample: Sample) -> None:
        self.name, self.packages = name, (name,)
        self.build, self.log_prob, self.sample = build, log_prob, sample

    def cannot(self, architecture: Architecture, /) -> str:
        """Batch norm between blocks is left to our engines."""
        return "batch norm is timed for our engines alone" if architecture.batch_norm else ""

    def groups(self, _architecture: Architecture, _stack: int, _batch: int, /) -> tuple[int, ...]:
        """One by one."""
        return (1,)

    def flows(
        self, architecture: Architecture, stars: Floats, _models: int, recipe: Recipe, seed: int, /
    ) -> ModuleFlows:
        """An untrained flow; torch's own state of random numbers is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = self.build(architecture)
        return ModuleFlows(
            module,
            self.log_prob,
            self.sample,
            stars,
            architecture.features,
            recipe,
        )


def zuko_flow(architecture: Architecture) -> nn.Module:
    """The flow in zuko; its second block and every other sees the features in reverse order."""
    import zuko

    options = {
        "transforms": architecture.blocks,
        "hidden_features": architecture.hidden,
        "randperm": False,
    }
    d, m = architecture.features, architecture.conditions
    flow: nn.Module = (
        zuko.flows.MAF(d, m, **options)
        if architecture.spline is None
        else zuko.flows.NSF(d, m, bins=architecture.spline.bins, **options)
    )
    return flow


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


MODULE_PEERS = (
    ModulePeer(
        "zuko",
        zuko_flow,
        lambda flow, x, condition: flow(condition).log_prob(x),
        lambda flow, condition: flow(condition).sample(),
    ),
    ModulePeer(
        "nflows",
        nflows_flow,
        lambda flow, x, condition: flow.log_prob(x, context=condition),
        lambda flow, condition: flow.sample(1, context=condition)[:, 0],
    ),
    ModulePeer(
        "normflows",
        normflows_flow,
        lambda flow, x, condition: flow.log_prob(x, context=condition),
        lambda flow, condition: flow.sample(len(condition), context=condition)[0],
    ),
)
