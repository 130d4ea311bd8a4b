"""The native engine maps as torch does, to rounding, variant by variant.

The reference is torch in double precision, with gradients by autograd.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.flows.shapes import (
    ARCHITECTURES,
    SMALL,
    SPLINES,
    built,
    each_variant,
    native,
    points,
    spline,
    wild_stack,
)
from viamachinae.flows.kernel import Workspace
from viamachinae.flows.layout import layout_of, pack, unpack
from viamachinae.flows.native import NativeStack
from viamachinae.flows.splines import RationalQuadratic
from viamachinae.flows.stack import FlowStack


@built
@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=str)
class TestMaps:
    def test_log_prob_is_that_of_torch_in_double_precision(self, architecture):
        reference, rows = wild_stack(architecture), points(architecture, 333)
        x, condition = rows.split([architecture.features, architecture.conditions], dim=2)
        with torch.no_grad():
            expected = reference.log_prob(x.double(), condition.double())
            found = native(reference).log_prob(x, condition)
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=2e-5)

    def test_inverse_is_that_of_torch_and_undoes_forward(self, architecture):
        reference, rows = wild_stack(architecture), points(architecture, 129)
        z, condition = rows.split([architecture.features, architecture.conditions], dim=2)
        compiled = native(reference)
        with torch.no_grad():
            expected, log_det = reference.inverse(z.double(), condition.double())
            x, found = compiled.inverse(z, condition)
            back, forward = compiled(x, condition)
        torch.testing.assert_close(x.double(), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(found.double(), log_det, rtol=1e-5, atol=2e-5)
        torch.testing.assert_close(back, z, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(forward, -found, rtol=1e-5, atol=2e-5)

    @each_variant
    def test_loss_and_gradient_are_those_of_autograd(self, architecture, variant):
        reference, rows = wild_stack(architecture, 1).train(), points(architecture, 150, 1)
        loss = -reference.log_prob(
            rows[..., : architecture.features].double(), rows[..., architecture.features :].double()
        ).mean()
        (expected,) = torch.autograd.grad(loss, reference.weights)
        start, layout = wild_stack(architecture, 1), layout_of(architecture)
        packed = pack((start.weights * start.mask).detach().float(), layout)[0]
        statistics = start.statistics[0].float()
        workspace = Workspace(architecture, 150 if architecture.batch_norm else 64, variant)
        gradient = torch.empty_like(packed)
        # The batch begins at the 100th of 150 rows: the first follow after the last.
        order = torch.arange(150, dtype=torch.int32)
        found = workspace.loss(packed, statistics, rows[0], (order, 150, 100), 150, gradient)
        assert workspace.width == len(layout)
        assert found == pytest.approx(float(loss.detach()), rel=1e-5)
        gradient *= pack(start.mask[None].float(), layout)[0]
        scale = float(expected.abs().max())
        torch.testing.assert_close(
            unpack(gradient[None], layout).double(), expected, rtol=1e-4, atol=2e-6 * scale
        )
        torch.testing.assert_close(
            statistics.double(), reference.statistics[0], rtol=1e-5, atol=1e-6
        )

    def test_packing_is_undone_by_unpacking(self, architecture):
        rows = wild_stack(architecture).weights.detach()
        layout = layout_of(architecture)
        assert torch.equal(unpack(pack(rows, layout), layout), rows)


def one_curve(curve: RationalQuadratic, steepness: float) -> FlowStack:
    """A block whose raw parameters are its last biases: the same spline for all stars.

    An affine map that is the identity comes first: the gradient of its shift is that by x.
    """
    architecture = spline(2, 0, 1, (1,), curve, affine_first=True)
    stack = FlowStack.draw(architecture, [np.random.default_rng(0)]).eval()
    raw = steepness * np.random.default_rng(1).normal(size=2 * curve.parameters)
    with torch.no_grad():
        stack.weights.zero_()[0, -raw.size :] = torch.from_numpy(raw)
    return stack


def across(curve: RationalQuadratic) -> torch.Tensor:
    """Pairs of points inside the box, far outside, on both borders and next to them."""
    edge = np.float32(curve.bound)
    near = [np.nextafter(edge, np.float32(0)), edge, np.nextafter(edge, np.float32(np.inf))]
    inside = np.linspace(-edge, edge, 400)
    x = np.concatenate([inside, near, np.negative(near), [9, -9, 20, 0, -0.0]])
    return torch.from_numpy(np.column_stack([x, x[::-1]]).astype(np.float32))


@built
@each_variant
@pytest.mark.parametrize("steepness", [0, 1, 3])
@pytest.mark.parametrize("curve", [RationalQuadratic(2, 3.0), RationalQuadratic(9, 1.0, 0.01, 0.1)])
class TestOneSpline:
    """Errors against double precision are of the size of torch's own in single precision."""

    def test_it_is_that_of_torch_in_the_box_outside_and_on_the_border(
        self, variant, steepness, curve
    ):
        single, x = one_curve(curve, steepness), across(curve)
        none, double = x[None, :, :0], single.select([0]).double()
        packed = pack(single.weights.detach() * single.mask, layout_of(single.architecture))
        workspace = Workspace(single.architecture, 0, variant)
        with torch.no_grad():
            for way in ("forward", "inverse"):
                found = getattr(workspace, way)(packed, single.statistics, x[None], none)
                near, exact = getattr(single, way)(x[None]), getattr(double, way)(x.double()[None])
                for ours, torchs, expected in zip(found, near, exact, strict=True):
                    error = (torchs - expected).abs().max()
                    assert (ours - expected).abs().max() < 4 * error + 1e-6
        outside = x.abs() > curve.bound
        torch.testing.assert_close(found[0][0][outside], x[outside], rtol=1e-6, atol=0)

    def test_its_gradient_is_that_of_autograd(self, variant, steepness, curve):
        single, x = one_curve(curve, steepness), across(curve)
        gradients = []
        for stack in (single.select([0]).double(), single):
            loss = -stack.log_prob(x.to(stack.weights)[None]).mean()
            gradients.append(torch.autograd.grad(loss, stack.weights)[0][0])
        expected, near = gradients
        layout = layout_of(single.architecture)
        packed, mask = pack(torch.stack([single.weights.detach()[0], single.mask]), layout)
        gradient, every = torch.empty_like(packed), torch.arange(len(x), dtype=torch.int32)
        workspace = Workspace(single.architecture, 0, variant)
        workspace.loss(packed, x[0, :0], x, (every, len(x), 0), len(x), gradient)
        found = unpack((gradient * mask)[None], layout)[0]
        error = (near - expected).abs().max()
        assert (found - expected).abs().max() < 4 * error + 1e-6 * expected.abs().max()


@built
@pytest.mark.parametrize("change", ["in place", "loaded", "replaced"])
def test_changed_weights_are_seen(change):
    """A stack keeps its weights in the kernel's layout from call to call."""
    native, other = (
        NativeStack.draw(SMALL, [np.random.default_rng(seed)]).eval() for seed in (1, 2)
    )
    x, given = torch.randn(1, 9, SMALL.features), torch.randn(1, 9, SMALL.conditions)
    with torch.no_grad():
        before = native.log_prob(x, given)
        torch.testing.assert_close(native.log_prob(x, given), before, rtol=0, atol=0)
        if change == "in place":
            native.weights.copy_(other.weights)
        elif change == "loaded":
            native.load_state_dict(other.state_dict())
        else:
            native.weights = torch.nn.Parameter(other.weights.clone())
        found = native.log_prob(x, given)
        torch.testing.assert_close(found, other.log_prob(x, given), rtol=0, atol=0)
    assert (found - before).abs().max() > 1e-3


@built
@pytest.mark.parametrize("architecture", [SMALL, SPLINES], ids=str)
def test_samples_are_those_of_torch(architecture):
    stack = wild_stack(architecture).float()
    condition = torch.full((2, 5000, 1), 0.4)
    ours, theirs = (
        s.sample(5000, condition, generator=torch.Generator().manual_seed(3))
        for s in (native(stack), stack)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@built
@pytest.mark.parametrize("architecture", [SMALL, replace(SMALL, batch_norm=True)], ids=str)
@pytest.mark.parametrize("shared", [True, False])
def test_a_stack_is_its_flows_one_by_one(architecture, shared):
    stack, rows = native(wild_stack(architecture, 3)), points(architecture, 150, 3)
    x, condition = (rows[..., part].contiguous() for part in (slice(2), slice(2, 3)))
    if shared:
        x, condition = (part[:1].expand(3, -1, -1) for part in (x, condition))

    def maps(flows, own):
        given = x[own], condition[own]
        return *flows(*given), *flows.inverse(*given), flows.log_prob(*given)

    with torch.no_grad():
        for k in range(3):
            alone = maps(stack.select([k]), slice(k, k + 1))
            for found, expected in zip(maps(stack, slice(None)), alone, strict=True):
                assert torch.equal(found[k], expected[0])


@built
def test_where_gradients_are_wanted_the_stack_is_torchs():
    stack = native(wild_stack(SMALL))
    x, condition = points(SMALL, 20).split([2, 1], dim=2)
    (gradient,) = torch.autograd.grad(stack.log_prob(x, condition).sum(), stack.weights)
    assert torch.isfinite(gradient).all()
    assert isinstance(stack.select([1]), NativeStack)


@built
def test_wrong_shapes_are_refused():
    stack = native(wild_stack(SMALL))
    with torch.no_grad(), pytest.raises(ValueError, match="2 flows with 2 features and 1 cond"):
        stack.log_prob(torch.zeros(2, 4, 3), torch.zeros(2, 4, 1))
