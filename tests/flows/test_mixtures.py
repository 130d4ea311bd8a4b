"""Mixtures of a flow with a fixed density: their likelihood, gradient and parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal

from viamachinae.flows.lanes import FitOptions
from viamachinae.flows.mixtures import (
    MIXTURES,
    MixtureArchitecture,
    MixtureStack,
    part_mixture,
)
from viamachinae.flows.rows import Rows, Stars, Task
from viamachinae.flows.stack import FlowStack
from viamachinae.flows.training import fit

SHAPE = MixtureArchitecture(2, 0, 2, (8,), family="rqs_autoregressive", initial_share=0.2)
BACKGROUND = MultivariateNormal(torch.zeros(2), torch.eye(2))


@pytest.fixture
def stack() -> MixtureStack:
    return MixtureStack.draw(SHAPE, [np.random.default_rng(k) for k in range(3)]).eval()


def test_the_likelihood_is_that_of_the_mixture_of_the_parts(stack):
    x = torch.randn(3, 40, 2, generator=torch.Generator().manual_seed(0))
    fixed = BACKGROUND.log_prob(x)
    parted = part_mixture(SHAPE, stack.weights.detach())
    flows = FlowStack(parted.architecture, parted.weights, stack.statistics).eval()
    expected = torch.log(0.2 * flows.log_prob(x).exp() + 0.8 * fixed.exp())
    torch.testing.assert_close(parted.share, torch.full((3,), 0.2))
    torch.testing.assert_close(stack.log_prob(x, fixed.unsqueeze(-1)), expected)


def test_the_gradient_of_the_share_is_what_the_posterior_says(stack):
    """d ln p / d logit(w) = posterior of the signal - w, the step of expectation-maximisation."""
    x = torch.randn(3, 40, 2, generator=torch.Generator().manual_seed(1))
    fixed = BACKGROUND.log_prob(x)
    total = stack.log_prob(x, fixed.unsqueeze(-1)).mean(dim=1).sum()
    (gradient,) = torch.autograd.grad(total, stack.weights)
    parted = part_mixture(SHAPE, stack.weights.detach())
    flows = FlowStack(parted.architecture, parted.weights, stack.statistics).eval()
    signal = 0.2 * flows.log_prob(x).exp()
    posterior = signal / (signal + 0.8 * fixed.exp())
    torch.testing.assert_close(gradient[:, 0], (posterior - 0.2).mean(dim=1))


def test_a_fit_recovers_the_share_of_a_clump():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 2))
    x[:300] = [2.0, -1.0] + 0.2 * rng.normal(size=(300, 2))
    points = torch.from_numpy(rng.permutation(x)).float()
    points = torch.column_stack([points, BACKGROUND.log_prob(points)])
    options = FitOptions(2e-2, 0.0, 128, 10, 2, 8, snapshots="best")
    task = Task(Rows(0, 2500), Rows(0, 500), np.random.SeedSequence(1))
    small = replace(SHAPE, initial_share=0.03)
    fitted = fit(small, Stars(points[:2500], points[2500:]), [task], options, engine=MIXTURES)
    parted = part_mixture(small, fitted.weights[0])
    assert parted.share.mean() == pytest.approx(0.1, abs=0.04)
    flow = FlowStack(parted.architecture, parted.weights, fitted.statistics[0]).eval()
    centre = flow.sample(500, generator=torch.Generator().manual_seed(0)).mean(dim=(0, 1))
    torch.testing.assert_close(centre, torch.tensor([2.0, -1.0]), atol=0.25, rtol=0)
