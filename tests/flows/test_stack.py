"""What a stack of flows does beyond the contract of its families."""

from __future__ import annotations

from math import log, pi
from typing import get_args

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from tests.flows.families import ARCHITECTURES, SPLINE, points, wild_stack
from viamachinae.flows.architecture import Architecture, Family
from viamachinae.flows.stack import FlowStack


def test_samples_follow_the_density():
    """The mean of -ln p over samples is the entropy that a grid gives, and z is normal."""
    architecture = ARCHITECTURES[1]
    stack = wild_stack(architecture, 2)
    n = 20_000
    condition = torch.full((2, n, 1), -0.4, dtype=torch.float64)
    generator = torch.Generator().manual_seed(5)
    x = stack.sample(n, condition, generator=generator)
    half = x[0, : n // 2]
    # A box holds as many samples as the density says: importance sampling from a wide uniform.
    low, high = half.quantile(0.2, dim=0), half.quantile(0.7, dim=0)
    share = ((x[0] > low) & (x[0] < high)).all(dim=1).double().mean()
    uniform = low + (high - low) * torch.rand(n, 2, generator=generator, dtype=torch.float64)
    density = stack.select([0]).log_prob(uniform[None], condition[[0]]).exp()
    expected = float(density.mean().detach() * torch.prod(high - low))
    assert float(share) == pytest.approx(expected, abs=4 * np.sqrt(expected / n))
    z = stack(x, condition)[0].detach().numpy()
    assert kstest(z[1, :, 0], "norm").pvalue > 1e-3


def test_joined_stacks_hold_the_models_of_each():
    stack, (x, condition) = wild_stack(ARCHITECTURES[2], 5), points(ARCHITECTURES[2], 5, 6)
    joined = FlowStack.join([stack.select([4]), stack.select([0, 1]), stack.select([3, 2])])
    order = [4, 0, 1, 3, 2]
    expected = stack.log_prob(x, condition)[order]
    assert torch.equal(joined.log_prob(x[order], condition[order]), expected)
    assert not joined.training


@pytest.mark.parametrize("other", [ARCHITECTURES[1], ARCHITECTURES[6], ARCHITECTURES[10]])
def test_models_of_different_shapes_make_no_stack(other):
    with pytest.raises(
        ValueError, match=r"a stack have one shape, not 2: \[Architecture\(features"
    ):
        FlowStack.join([wild_stack(ARCHITECTURES[0], 2), wild_stack(other, 1)])


def test_average_log_prob_is_the_log_of_the_mean_density():
    architecture = ARCHITECTURES[3]
    stack, (x, condition) = wild_stack(architecture, 5), points(architecture, 1, 30)
    members = [stack.select([k]).log_prob(x, condition).exp().detach().numpy()[0] for k in range(5)]
    average = stack.average_log_prob(x[0], condition[0]).numpy()
    np.testing.assert_allclose(average, np.log(np.mean(members, axis=0)), rtol=1e-10)


@pytest.mark.parametrize("family", get_args(Family))
def test_identity_weights_give_the_standard_normal(family):
    architecture = Architecture(3, 1, 2, (8,), family=family)
    drawn = FlowStack.draw(architecture, [np.random.default_rng(0)])
    stack = FlowStack(architecture, torch.zeros_like(drawn.weights), drawn.statistics)
    x, condition = points(architecture, 1, 6)
    expected = -0.5 * (x.float().square().sum(dim=2) + 3 * log(2 * pi))
    torch.testing.assert_close(stack.log_prob(x.float(), condition.float()), expected)


def test_batch_norm_uses_the_batch_in_training_and_running_values_after():
    architecture = Architecture(3, 0, 1, (8,), batch_norm=True)
    stack = FlowStack.draw(architecture, [np.random.default_rng(0)]).train()
    x = 5 + 3 * torch.randn(1, 4000, 3, generator=torch.Generator().manual_seed(0))
    for _ in range(80):
        in_training, _ = stack(x)
    torch.testing.assert_close(in_training.mean(dim=1), torch.zeros(1, 3), atol=1e-4, rtol=0)
    torch.testing.assert_close(in_training.var(dim=1), torch.ones(1, 3), atol=1e-3, rtol=0)
    after = stack.eval()(x)[0]
    torch.testing.assert_close(after, in_training, atol=2e-2, rtol=0)
    before = stack.statistics.clone()
    stack(x)
    assert torch.equal(stack.statistics, before)


@pytest.mark.parametrize("family", ["maf", "iaf", "rqs_autoregressive"])
def test_one_block_is_autoregressive(family):
    """The Jacobian is lower triangular in the direction of the network's single pass."""
    stack = wild_stack(Architecture(4, 1, 1, (24,), family=family), 1)
    x, condition = points(stack.architecture, 1, 1)
    one_pass = stack.inverse if family == "iaf" else stack.forward
    jacobian = torch.autograd.functional.jacobian(lambda x: one_pass(x, condition)[0], x)
    jacobian = jacobian.view(4, 4)
    assert torch.equal(jacobian.triu(1), torch.zeros(4, 4).double())
    assert (jacobian.tril() != 0).sum() == 10


@pytest.mark.parametrize("family", ["affine_coupling", "rqs_coupling"])
def test_one_coupling_passes_the_first_features(family):
    stack = wild_stack(Architecture(5, 1, 1, (24,), family=family), 1)
    x, condition = points(stack.architecture, 1, 20)
    z, _ = stack(x, condition)
    assert torch.equal(z[..., :2], x[..., :2])
    assert (z[..., 2:] != x[..., 2:]).all()


def test_the_share_of_points_outside_the_box_is_reported():
    architecture = Architecture(2, 0, 2, (8,), family="rqs_autoregressive", spline=SPLINE)
    stack = wild_stack(architecture, 1)
    x = torch.tensor([[[0.0, 1.9], [2.1, 0.0], [0.0, -7.0], [-1.0, 1.0]]]).double()
    assert stack.share_outside(x).tolist() == [0.5]
    affine = wild_stack(ARCHITECTURES[0], 1)
    assert affine.share_outside(x).tolist() == [0.0]


def test_a_uniform_base_has_no_density_outside_its_box():
    architecture = Architecture(2, 0, 2, (8,), family="rqs_coupling", base="uniform")
    stack = wild_stack(architecture, 1)
    log_prob = stack.log_prob(torch.tensor([[[4.9, 0.0], [5.1, 0.0]]]).double())[0]
    assert torch.isfinite(log_prob).tolist() == [True, False]
    sampled = stack.sample(1000, generator=torch.Generator().manual_seed(0))
    assert float(sampled.abs().max()) <= 5.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"spline": SPLINE}, "family maf has no spline"),
        ({"base": "uniform"}, "a uniform base needs splines alone"),
        (
            {"family": "rqs_coupling", "base": "uniform", "batch_norm": True},
            "batch norm, affine maps",
        ),
        ({"family": "glow"}, "no family glow"),
        ({"features": 1}, "at least two features"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Architecture(**{"features": 2, "conditions": 0, "blocks": 2, "hidden": (8,), **options})


def test_wrong_shapes_are_said_in_one_sentence():
    stack = wild_stack(ARCHITECTURES[3], 2)
    x, condition = points(ARCHITECTURES[3], 2, 4)
    with pytest.raises(ValueError, match="2 flows with 5 features and 1 conditions cannot take"):
        stack.log_prob(x[..., :4], condition)
    with pytest.raises(ValueError, match="cannot take"):
        stack.log_prob(x)
    with pytest.raises(ValueError, match="weights and 0 statistics a model"):
        FlowStack(ARCHITECTURES[3], torch.zeros(2, 7), torch.zeros(2, 0))
