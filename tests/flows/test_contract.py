"""The contract of a stack of flows, for every architecture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from tests.flows.families import ARCHITECTURES, FLAT, name, points, wild_stack
from viamachinae.flows.bases import Uniform
from viamachinae.flows.engines import TRITON, choose_engine
from viamachinae.flows.gpu.engine import TritonStack
from viamachinae.flows.stack import FlowStack


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=name)
class TestContract:
    @pytest.mark.parametrize("n_models", [1, 3])
    def test_inverse_undoes_forward(self, architecture, n_models):
        stack = wild_stack(architecture, n_models)
        x, condition = points(architecture, n_models, 40)
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
        half = stack.base.bound if isinstance(stack.base, Uniform) else 0.0
        one = torch.distributions.Uniform(-half, half) if half else torch.distributions.Normal(0, 1)
        torch.testing.assert_close(stack.log_prob(x, condition), one.log_prob(z).sum(2) + log_det)

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

    def test_gradient_of_sampling_is_that_of_finite_differences(self, architecture):
        """What fitting by reverse Kullback-Leibler divergence differentiates."""
        stack, (z, condition) = wild_stack(architecture, 2), points(architecture, 2, 3)
        direction = torch.randn(
            stack.weights.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64
        )

        def value(step: float) -> torch.Tensor:
            moved = FlowStack(
                architecture, stack.weights.detach() + step * direction, stack.statistics
            ).eval()
            x, log_det = moved.inverse(z, condition)
            total = torch.sin(x).sum() + log_det.sum()
            return torch.autograd.grad(total, moved.weights)[0] if step == 0 else total.detach()

        slope = float(value(1e-6) - value(-1e-6)) / 2e-6
        assert float((value(0) * direction).sum()) == pytest.approx(slope, rel=1e-4, abs=1e-4)

    def test_gradient_in_training_is_that_of_finite_differences(self, architecture):
        """There a batch norm takes mean and variance from the batch, and so do its gradients."""
        stack, (x, condition) = wild_stack(architecture, 2), points(architecture, 2, 12)
        direction = torch.randn(
            stack.weights.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64
        )

        def log_prob(step: float) -> tuple[torch.Tensor, FlowStack]:
            moved = FlowStack(
                architecture, stack.weights.detach() + step * direction, stack.statistics.clone()
            ).train()
            return moved.log_prob(x, condition).sum(), moved

        total, moved = log_prob(0)
        (gradient,) = torch.autograd.grad(total, moved.weights)
        slope = float(log_prob(1e-6)[0].detach() - log_prob(-1e-6)[0].detach()) / 2e-6
        assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-5, abs=1e-4)

    def test_samples_are_the_inverse_of_draws_from_the_base(self, architecture):
        stack, n = wild_stack(architecture, 3, spread=0.1), 500
        condition = points(architecture, 3, n)[1]
        x = stack.sample(n, condition, generator=torch.Generator().manual_seed(8))
        again = torch.Generator().manual_seed(8)
        noise = stack.base.draw((3, n, architecture.features), stack.weights, again)
        with torch.no_grad():
            assert torch.equal(x, stack.inverse(noise, condition)[0])
            z = stack(x, condition)[0]
        uniform = isinstance(stack.base, Uniform)
        base = ("uniform", (-5, 10)) if uniform else ("norm", ())
        for value in z.movedim(2, 1).flatten(0, 1).numpy():
            assert kstest(value, *base).pvalue > 1e-5

    def test_float32_agrees_with_float64(self, architecture):
        fresh = FlowStack.draw(architecture, [np.random.default_rng(k) for k in range(2)]).eval()
        x, condition = points(architecture, 2, 200)
        precise = fresh.double().log_prob(x, condition)
        rounded = fresh.float().log_prob(x.float(), condition.float())
        torch.testing.assert_close(rounded.double(), precise, rtol=0, atol=2e-4)
        z = fresh(x.float(), condition.float())[0]
        back = fresh.inverse(z, condition.float())[0]
        torch.testing.assert_close(back, x.float(), rtol=0, atol=2e-4)

    def test_a_models_first_weights_depend_on_its_own_generator_alone(self, architecture):
        pair = FlowStack.draw(architecture, [np.random.default_rng(s) for s in (1, 2)])
        alone = FlowStack.draw(architecture, [np.random.default_rng(2)])
        assert torch.equal(pair.weights[1], alone.weights[0])
        assert not torch.equal(pair.weights[0], pair.weights[1])


@pytest.mark.parametrize("architecture", FLAT, ids=name)
def test_density_integrates_to_one_on_a_grid(architecture):
    stack = wild_stack(architecture, 2, seed=4, spread=0.1)
    condition = torch.full((2, 1, architecture.conditions), 0.7, dtype=torch.float64)
    sampled = stack.sample(
        4000, condition.expand(2, 4000, -1), generator=torch.Generator().manual_seed(2)
    )
    share = (torch.arange(400, dtype=torch.float64) + 0.5) / 400
    for model in range(2):
        # The grid covers what the flow makes of the bulk of its base, or all of a finite box.
        low, high = sampled[model].min(dim=0).values, sampled[model].max(dim=0).values
        margin = 0.5 * (high - low)
        low, high = low - margin, high + margin
        if isinstance(stack.base, Uniform):
            low, high = (torch.full((2,), side * stack.base.bound).double() for side in (-1, 1))
        grid = low + (high - low) * torch.cartesian_prod(share, share)[None]
        density = stack.select([model]).log_prob(
            grid, condition[[model]].expand(1, grid.shape[1], -1)
        )
        integral = density.exp().mean().detach() * torch.prod(high - low)
        assert float(integral) == pytest.approx(1, abs=2e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=name)
def test_triton_agrees_with_the_cpu(architecture):
    """Where it serves a flow; and it says why where it does not."""
    cuda = torch.device("cuda")
    if choose_engine("auto", architecture, cuda) is not TRITON:
        with pytest.raises(ValueError, match="that has no kernel for"):
            choose_engine("triton", architecture, cuda)
        return
    here, (x, condition) = wild_stack(architecture, 3), points(architecture, 3, 40)
    there = TritonStack(architecture, here.weights.detach().float(), here.statistics.float())
    with torch.no_grad():
        expected = here.log_prob(x, condition)
        found = there.cuda().eval().log_prob(x.float().cuda(), condition.float().cuda())
    torch.testing.assert_close(found.double().cpu(), expected, rtol=1e-4, atol=2e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=name)
def test_cuda_agrees_with_the_cpu(architecture):
    here, (x, condition) = wild_stack(architecture, 3), points(architecture, 3, 40)
    there = here.select(range(3)).cuda()
    values = []
    for stack in (here, there):
        on_device = x.to(stack.weights.device), condition.to(stack.weights.device)
        log_prob = stack.log_prob(*on_device)
        (gradient,) = torch.autograd.grad(log_prob.sum(), stack.weights)
        values.append((log_prob.detach().cpu(), gradient.cpu()))
    torch.testing.assert_close(values[0], values[1], rtol=1e-7, atol=1e-7)
