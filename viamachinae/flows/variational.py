"""Fitting flows to an unnormalised density without samples of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, log, pi, sqrt
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from viamachinae.flows.architecture import Architecture
from viamachinae.flows.optimiser import AdamState, adam_step, clip_by_model
from viamachinae.flows.stack import FlowStack

LogDensity = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class VariationalOptions:
    """How flows are fitted to a density.

    Attributes
    ----------
    learning_rate : float
        Of Adam; it falls to zero along half a cosine.
    batch_size : int
        Points that each flow draws in a step.
    steps : int
    max_gradient_norm : float
        A flow's gradient is shortened to this length.
    """

    learning_rate: float
    batch_size: int
    steps: int
    max_gradient_norm: float = 1.0


class Importance(NamedTuple):
    """What weighted points of K flows say about the density they were fitted to.

    Attributes
    ----------
    ess : Tensor of shape (K,)
        Effective sample size as a share of the points drawn: 1 for a perfect fit.
    log_z : Tensor of shape (K,)
        Estimate of ln of the integral of the density.
    log_z_error : Tensor of shape (K,)
        Its standard error.
    divergence, divergence_error : Tensor of shape (K,)
        Mean of ln q - ln p and its standard error: the Kullback-Leibler divergence of the flow
        from the density, if that is normalised.
    """

    ess: Tensor
    log_z: Tensor
    log_z_error: Tensor
    divergence: Tensor
    divergence_error: Tensor


def fit_to_density(
    architecture: Architecture,
    log_density: LogDensity,
    options: VariationalOptions,
    generators: Sequence[np.random.Generator],
    conditions: Tensor | None = None,
) -> FlowStack:
    """Fit flows by the reverse Kullback-Leibler divergence (arXiv:1505.05770, section 3).

    Each step draws points of the flow itself and lowers the mean of ln q(x) - ln p(x). It finds
    the modes that it begins near: `importance` tells how well, but not of a mode never visited.

    Parameters
    ----------
    architecture : Architecture
        Families with one pass from latent space to data are quickest.
    log_density : callable
        From points (K, N, d) and conditions (K, N, m) to ln of the unnormalised density
        (K, N), differentiable. m may be 0.
    options : VariationalOptions
    generators : sequence of K numpy Generator
        One a flow, for its first weights and its points.
    conditions : Tensor of shape (n, m), optional where m is 0
        Conditions to draw from, float32.

    Returns
    -------
    FlowStack
        In evaluation mode.

    Raises
    ------
    ValueError
        If the architecture has batch norm, or conditions and none are given.
    FloatingPointError
        If the divergence of a flow is not finite.
    """
    if architecture.batch_norm:
        raise ValueError("a flow with batch norm cannot be fitted to a density")
    stack = FlowStack.draw(architecture, generators)
    given = _conditions(architecture, conditions)
    adam = AdamState.fresh(stack.weights)
    seeds = [int(generator.integers(2**62)) for generator in generators]
    noise = [torch.Generator().manual_seed(seed) for seed in seeds]
    for step in range(options.steps):
        z, condition = _draw(stack, given, options.batch_size, noise)
        x, log_det = stack.inverse(z, condition)
        log_prob = stack.base.log_prob(z) - log_det
        divergence = (log_prob - log_density(x, condition)).mean(dim=1)
        if not torch.isfinite(divergence).all():
            raise FloatingPointError(f"the divergence is not finite in step {step}")
        (gradient,) = torch.autograd.grad(divergence.sum(), stack.weights)
        clip_by_model(gradient, options.max_gradient_norm)
        share = 0.5 * (1 + cos(pi * step / options.steps))
        adam_step(stack.weights, gradient, adam, options.learning_rate * share, 0.0)
    return stack.eval()


@torch.no_grad()
def importance(
    stack: FlowStack,
    log_density: LogDensity,
    n: int,
    *,
    generator: torch.Generator,
    conditions: Tensor | None = None,
) -> Importance:
    """Draw `n` points of each flow and weight them by p / q, in float64.

    The effective sample size is (sum w)^2 / (n sum w^2) (Kong 1992). With conditions, to draw
    from as in `fit_to_density`, p must be normalised for ln Z to mean anything.
    """
    given = _conditions(stack.architecture, conditions)
    z, condition = _draw(stack, given, n, [generator] * stack.n_models)
    x, log_det = stack.inverse(z, condition)
    log_weight = (log_density(x, condition) + log_det - stack.base.log_prob(z)).double()
    log_sum = torch.logsumexp(log_weight, dim=1)
    ess = torch.exp(2 * log_sum - torch.logsumexp(2 * log_weight, dim=1)) / n
    return Importance(
        ess,
        log_sum - log(n),
        # The relative variance of the mean weight is (1 / ess - 1) / n.
        torch.sqrt((1 / ess - 1).clamp(min=0) / n),
        -log_weight.mean(dim=1),
        log_weight.std(dim=1) / sqrt(n),
    )


def distil(
    teacher: FlowStack,
    architecture: Architecture,
    options: VariationalOptions,
    generators: Sequence[np.random.Generator],
    conditions: Tensor | None = None,
) -> FlowStack:
    """Teach the densities of one stack to another, such as those of a MAF to an IAF.

    Probability density distillation (van den Oord et al. 2018, arXiv:1711.10433, section 4):
    the student draws in one pass what the teacher judges in one pass. `importance` with the
    teacher's `log_prob` as the density gives the divergence achieved.

    Parameters are those of `fit_to_density`, for the student.
    """
    judge = teacher.select(range(teacher.n_models)).eval().requires_grad_(False)
    return fit_to_density(architecture, judge.log_prob, options, generators, conditions)


def _conditions(architecture: Architecture, conditions: Tensor | None) -> Tensor:
    if conditions is None:
        conditions = torch.empty(1, 0)
    if conditions.shape[1] != architecture.conditions:
        raise ValueError(
            f"a flow with {architecture.conditions} conditions cannot draw from conditions of "
            f"shape {tuple(conditions.shape)}"
        )
    return conditions


def _draw(
    stack: FlowStack, conditions: Tensor, n: int, noise: Sequence[torch.Generator]
) -> tuple[Tensor, Tensor]:
    """Latent points (K, n, d) and conditions (K, n, m), each flow's from its generator."""
    shape = (n, stack.architecture.features)
    z = torch.stack([stack.base.draw(shape, stack.weights, one) for one in noise])
    rows = torch.stack([torch.randint(len(conditions), (n,), generator=one) for one in noise])
    return z, conditions[rows]
