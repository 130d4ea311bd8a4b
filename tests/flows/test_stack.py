"""The contract of a stack of flows, for every architecture."""

from __future__ import annotations

from math import log, pi

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from viamachinae.flows.architecture import Architecture
from viamachinae.flows.stack import FlowStack

ARCHITECTURES = [
    Architecture(2, 0, 3, (16,)),
    Architecture(2, 1, 2, (16, 16)),
    Architecture(3, 2, 3, (12,), batch_norm=True),
    Architecture(5, 1, 4, (32, 32)),
    Architecture(8, 3, 2, (24, 24, 24), batch_norm=True),
]


def wild_stack(architecture: Architecture, n_models: int, seed: int = 0) -> FlowStack:
    """Double precision flows far from the identity, with running statistics of their own."""
    generators = [np.random.default_rng([seed, k]) for k in range(n_models)]
    stack = FlowStack.draw(architecture, generators).double().eval()
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        stack.weights += 0.3 * torch.randn(
            stack.weights.shape, generator=noise, dtype=torch.float64
        )
        stack.statistics += torch.rand(stack.statistics.shape, generator=noise, dtype=torch.float64)
    return stack


def points(architecture: Architecture, n_models: int, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    noise = torch.Generator().manual_seed(9)
    both = architecture.features + architecture.conditions
    drawn = torch.randn(n_models, n, both, generator=noise, dtype=torch.float64)
    return drawn[..., : architecture.features], drawn[..., architecture.features :]


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=str)
class TestContract:
    def test_inverse_undoes_forward(self, architecture):
        stack, (x, condition) = wild_stack(architecture, 3), points(architecture, 3, 40)
        z, log_det = stack(x, condition)
        back, inverse_log_det = stack.inverse(z, condition)
        torch.testing.assert_close(back, x, rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(inverse_log_det, -log_det, rtol=1e-8, atol=1e-8)

    def test_log_det_is_that_of_autograds_jacobian(self, architecture):
        stack, (x, condition) = wild_stack(architecture, 2), points(architecture, 2, 1)
        _, log_det = stack(x, condition)
        for model in range(2):
            alone, given = stack.select([model]), condition[model][None]

            def latent(star, alone=alone, given=given):
                return alone(star[None, None], given)[0].flatten()

            jacobian = torch.autograd.functional.jacobian(latent, x[model, 0])
            expected = torch.linalg.slogdet(jacobian)[1]
            torch.testing.assert_close(log_det[model, 0], expected, rtol=1e-9, atol=1e-9)

    def test_log_prob_is_the_base_density_times_the_jacobian(self, architecture):
        stack, (x, condition) = wild_stack(architecture, 2), points(architecture, 2, 7)
        z, log_det = stack(x, condition)
        base = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(dim=2)
        torch.testing.assert_close(stack.log_prob(x, condition), base + log_det)

    def test_models_of_a_stack_are_independent(self, architecture):
        stack, (x, condition) = wild_stack(architecture, 4), points(architecture, 4, 16)
        together = stack.log_prob(x, condition)
        for model in range(4):
            alone = stack.select([model]).log_prob(x[[model]], condition[[model]])
            torch.testing.assert_close(together[[model]], alone, rtol=1e-12, atol=1e-12)

    def test_gradient_is_that_of_finite_differences(self, architecture):
        stack, (x, condition) = wild_stack(architecture, 2), points(architecture, 2, 5)
        (gradient,) = torch.autograd.grad(stack.log_prob(x, condition).sum(), stack.weights)
        direction = torch.randn(
            stack.weights.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64
        )
        step, values = 1e-6, []
        for sign in (1, -1):
            moved = FlowStack(
                architecture, stack.weights.detach() + sign * step * direction, stack.statistics
            ).eval()
            values.append(float(moved.log_prob(x, condition).sum().detach()))
        slope = (values[0] - values[1]) / (2 * step)
        assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-5, abs=1e-5)

    def test_a_models_first_weights_depend_on_its_own_generator_alone(self, architecture):
        pair = FlowStack.draw(architecture, [np.random.default_rng(s) for s in (1, 2)])
        alone = FlowStack.draw(architecture, [np.random.default_rng(2)])
        assert torch.equal(pair.weights[1], alone.weights[0])
        assert not torch.equal(pair.weights[0], pair.weights[1])


@pytest.mark.parametrize("architecture", ARCHITECTURES[:2], ids=str)
def test_density_integrates_to_one_on_a_grid(architecture):
    stack = wild_stack(architecture, 2, seed=4)
    # The grid covers what the flow makes of the bulk of its base.
    condition = torch.full((2, 1, architecture.conditions), 0.7, dtype=torch.float64)
    sampled = stack.sample(
        4000, condition.expand(2, 4000, -1), generator=torch.Generator().manual_seed(2)
    )
    for model in range(2):
        low, high = sampled[model].min(dim=0).values, sampled[model].max(dim=0).values
        axes = [
            torch.linspace(float(a - 0.5 * (b - a)), float(b + 0.5 * (b - a)), 801).double()
            for a, b in zip(low, high, strict=True)
        ]
        grid = torch.cartesian_prod(*axes)[None]
        density = stack.select([model]).log_prob(
            grid, condition[[model]].expand(1, grid.shape[1], -1)
        )
        cell = float((axes[0][1] - axes[0][0]) * (axes[1][1] - axes[1][0]))
        assert float(density.exp().sum().detach()) * cell == pytest.approx(1, abs=2e-3)


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


def test_average_log_prob_is_the_log_of_the_mean_density():
    architecture = ARCHITECTURES[3]
    stack, (x, condition) = wild_stack(architecture, 5), points(architecture, 1, 30)
    members = [stack.select([k]).log_prob(x, condition).exp().detach().numpy()[0] for k in range(5)]
    average = stack.average_log_prob(x[0], condition[0]).numpy()
    np.testing.assert_allclose(average, np.log(np.mean(members, axis=0)), rtol=1e-10)


def test_identity_weights_give_the_standard_normal():
    architecture = Architecture(3, 1, 2, (8,))
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


def test_wrong_shapes_are_said_in_one_sentence():
    stack = wild_stack(ARCHITECTURES[3], 2)
    x, condition = points(ARCHITECTURES[3], 2, 4)
    with pytest.raises(ValueError, match="2 flows with 5 features and 1 conditions cannot take"):
        stack.log_prob(x[..., :4], condition)
    with pytest.raises(ValueError, match="cannot take"):
        stack.log_prob(x)
    with pytest.raises(ValueError, match="weights and 0 statistics a model"):
        FlowStack(ARCHITECTURES[3], torch.zeros(2, 7), torch.zeros(2, 0))
    with pytest.raises(ValueError, match="at least two features"):
        Architecture(1, 1, 2, (8,))
