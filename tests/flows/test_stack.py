"""The contract of a stack of flows, for every architecture."""

from __future__ import annotations

from math import log, pi
from typing import get_args

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from viamachinae.flows.architecture import Architecture, Family
from viamachinae.flows.bases import Uniform
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
