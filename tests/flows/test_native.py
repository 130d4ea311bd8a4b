"""The native engine: what the torch engine computes, to rounding, variant by variant.

The reference is torch in double precision, with gradients by autograd.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from viamachinae.flows import kernel
from viamachinae.flows.architecture import Architecture
from viamachinae.flows.engines import NATIVE, TORCH, _tell, choose_engine
from viamachinae.flows.kernel import VARIANTS, Workspace, built_variants, library
from viamachinae.flows.lanes import FitOptions, Lanes, ModelState
from viamachinae.flows.layout import layout_of, pack, unpack
from viamachinae.flows.native import NativeStack
from viamachinae.flows.optimiser import AdamState
from viamachinae.flows.rows import Rows, Stars, Task
from viamachinae.flows.splines import RationalQuadratic
from viamachinae.flows.stack import FlowStack
from viamachinae.flows.training import fit

built = pytest.mark.skipif(
    not built_variants(), reason="the native engine was not built with this installation"
)


def spline(features, conditions, blocks, hidden, curve, **more) -> Architecture:
    family = "rqs_autoregressive"
    return Architecture(features, conditions, blocks, hidden, family=family, spline=curve, **more)


ARCHITECTURES = [
    Architecture(2, 0, 3, (16,)),
    Architecture(2, 0, 1, (1,)),
    Architecture(2, 1, 2, (3, 5)),
    Architecture(3, 2, 3, (13,), batch_norm=True),
    Architecture(5, 1, 8, (64, 64)),
    Architecture(5, 1, 3, (128,)),
    Architecture(5, 1, 3, (47,), batch_norm=True),
    Architecture(7, 2, 2, (30, 6, 50)),
    Architecture(8, 3, 2, (24, 50, 7), batch_norm=True),
    Architecture(4, 1, 4, (24,), mixing="permutation"),
    spline(2, 0, 1, (8,), RationalQuadratic(2)),
    spline(2, 1, 3, (16,), RationalQuadratic(3, bound=1.0), affine_first=True),
    spline(5, 1, 2, (64, 64), RationalQuadratic(8), affine_first=True),
    spline(5, 1, 3, (64, 64), RationalQuadratic(8, bound=2.5)),
    spline(3, 2, 2, (7, 30, 5), RationalQuadratic(17, 3.0, 0.01, 0.02, 0.1), affine_first=True),
    spline(7, 0, 2, (33,), RationalQuadratic(5), mixing="permutation"),
    spline(4, 1, 2, (20,), RationalQuadratic(4), affine_first=True, batch_norm=True),
]
OPTIONS = FitOptions(
    learning_rate=5e-3, weight_decay=1e-2, batch_size=100, epochs=3, average_last=2, stack_size=16
)
SMALL = Architecture(2, 1, 2, (12,))
SPLINES = spline(2, 1, 2, (12,), RationalQuadratic(6, bound=2.0), affine_first=True)
each_variant = pytest.mark.parametrize(
    "variant",
    [
        pytest.param(
            variant,
            marks=pytest.mark.skipif(
                variant not in built_variants(),
                reason=f"{variant} was not built, or this processor cannot run it",
            ),
        )
        for variant in VARIANTS
    ],
)


def wild_stack(architecture: Architecture, n_models: int = 2) -> FlowStack:
    """Double precision flows away from the identity, with running statistics of their own."""
    generators = [np.random.default_rng([7, k]) for k in range(n_models)]
    stack = FlowStack.draw(architecture, generators).double().eval()
    noise = torch.Generator().manual_seed(7)
    with torch.no_grad():
        # Masked weights are moved too: they must not matter.
        stack.weights += 0.1 * torch.randn(
            stack.weights.shape, generator=noise, dtype=torch.float64
        )
        stack.statistics += torch.rand(stack.statistics.shape, generator=noise, dtype=torch.float64)
    return stack


def native(stack: FlowStack) -> NativeStack:
    weights = stack.weights.detach().float()
    return NativeStack(stack.architecture, weights, stack.statistics.float()).eval()


def points(architecture: Architecture, n: int, n_models: int = 2) -> torch.Tensor:
    both = architecture.features + architecture.conditions
    noise = torch.Generator().manual_seed(9)
    return torch.randn(n_models, n, both, generator=noise)


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
        none, double = x[:, :0], single.select([0]).double()
        packed = pack(single.weights.detach() * single.mask, layout_of(single.architecture))[0]
        workspace = Workspace(single.architecture, 0, variant)
        with torch.no_grad():
            for way in ("forward", "inverse"):
                found = getattr(workspace, way)(packed, none, x, none)
                near, exact = getattr(single, way)(x[None]), getattr(double, way)(x.double()[None])
                for ours, torchs, expected in zip(found, near, exact, strict=True):
                    error = (torchs - expected).abs().max()
                    assert (ours - expected[0]).abs().max() < 4 * error + 1e-6
        outside = x.abs() > curve.bound
        torch.testing.assert_close(found[0][outside], x[outside], rtol=1e-6, atol=0)

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


def lanes_of(engine, architecture: Architecture, stars: torch.Tensor, options: FitOptions) -> Lanes:
    """Two lanes that have their own weights and order of stars."""
    stacks = [engine.stack.draw(architecture, [np.random.default_rng(k)]) for k in (1, 2)]
    states = [ModelState(stack, AdamState.fresh(stack.weights)) for stack in stacks]
    lanes = engine.lanes(stars, options, states, len(stars))
    for lane in (0, 1):
        lanes.begin_epoch(lane, np.random.default_rng(lane).permutation(len(stars)).astype("i4"))
    return lanes


@built
@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=str)
@pytest.mark.parametrize(("steps", "tolerance"), [(1, 1e-5), (30, 2e-3)])
@pytest.mark.parametrize("max_norm", [0.05, 100.0])
def test_training_steps_are_those_of_torch(architecture, steps, tolerance, max_norm):
    """Rounding differs, and Adam amplifies it: a step moves each weight by the rate at most."""
    stars = points(architecture, 450, 1)[0]
    options = replace(OPTIONS, learning_rate=1e-3, max_gradient_norm=max_norm)
    ours, reference = (lanes_of(e, architecture, stars, options) for e in (NATIVE, TORCH))
    for _ in range(steps):
        ours.step()
        reference.step()
    for lane in (0, 1):
        found, expected = ours.get(lane), reference.get(lane)
        assert float(ours.loss[lane]) == pytest.approx(float(reference.loss[lane]), rel=1e-4)
        assert float(found.adam.step) == steps
        near = (found.stack.weights - expected.stack.weights).abs() < tolerance
        # Batch norm undoes a block's last biases, and its last offset finds a mean of 0: their
        # first gradients, and so Adam's steps, are rounding alone.
        moved = 2 * architecture.features * (architecture.blocks + 1) * architecture.batch_norm
        assert (~near).sum() <= 1e-3 * near.numel() + moved
        torch.testing.assert_close(
            found.stack.statistics, expected.stack.statistics, rtol=1e-3, atol=1e-3
        )
        scale = float(expected.adam.mean.abs().max())
        assert float((found.adam.mean - expected.adam.mean).abs().max()) < 0.02 * scale


@built
def test_a_lane_goes_on_from_the_state_it_gave():
    stars = points(SMALL, 300, 1)[0]
    through, halted = (lanes_of(NATIVE, SMALL, stars, OPTIONS) for _ in range(2))
    for _ in range(4):
        through.step()
    for _ in range(2):
        halted.step()
    halted.put(0, halted.get(0))
    halted.keep([0])
    for _ in range(2):
        halted.step()
    assert torch.equal(halted.get(0).stack.weights, through.get(0).stack.weights)
    assert float(halted.get(0).adam.step) == 4


@pytest.fixture(scope="module")
def stars() -> Stars:
    rng = np.random.default_rng(0)
    c = np.sort(rng.normal(size=1200))
    x = np.column_stack([np.sin(2 * c) + 0.5 * rng.normal(size=1200), rng.normal(size=1200) - c, c])
    rows = torch.from_numpy(x.astype(np.float32))
    return Stars(rows[::2].clone(), rows[1::2].clone())


def task(start: int, stop: int, complement: bool = False) -> Task:
    rows = Rows(start, stop, complement)
    return Task(rows, rows, np.random.SeedSequence([5, start]))


TASKS = [task(0, 600), task(200, 400), task(200, 400, complement=True), task(550, 600)]


@built
@pytest.mark.parametrize("architecture", [SMALL, replace(SMALL, batch_norm=True), SPLINES], ids=str)
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_fit_is_that_of_torch_whatever_the_threads(stars, architecture, schedule):
    batch_norm, options = architecture.batch_norm, replace(OPTIONS, schedule=schedule)
    expected = fit(architecture, stars, TASKS, options)
    found = fit(architecture, stars, TASKS, options, engine=NATIVE)
    threads = fit(architecture, stars, TASKS, replace(options, threads=3), engine=NATIVE)
    assert (found.engine, expected.engine) == ("native", "torch")
    assert torch.equal(threads.weights, found.weights)
    for ours, theirs in zip(found.history, expected.history, strict=True):
        assert ours[:2] == theirs[:2]
        assert ours.loss == pytest.approx(theirs.loss, abs=1e-3)
        # Batch norm's running mean lags behind biases that rounding alone moves.
        assert ours.held_out == pytest.approx(theirs.held_out, abs=0.02 if batch_norm else 1e-3)
    x, condition = stars.held_out.split([2, 1], dim=1)
    ours, theirs = (
        engine.stack(architecture, f.weights[0], f.statistics[0]).eval()
        for engine, f in ((NATIVE, found), (TORCH, expected))
    )
    torch.testing.assert_close(
        ours.average_log_prob(x, condition),
        theirs.average_log_prob(x, condition),
        rtol=1e-2,
        atol=1e-2,
    )


@built
@pytest.mark.parametrize("column", [0, 1, 2])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("architecture", [SMALL, SPLINES], ids=str)
def test_a_bad_star_is_seen_and_its_flows_fail_after_two_retries(stars, column, bad, architecture):
    poisoned = Stars(stars.train.clone(), stars.held_out)
    poisoned.train[570, column] = bad
    fitted = fit(architecture, poisoned, TASKS, OPTIONS, engine=NATIVE)
    assert fitted.failed.tolist() == [True, False, True, True]
    assert [r.outcome for r in fitted.history if r.flow == 3] == ["retried", "retried", "failed"]
    assert torch.isnan(fitted.weights[3]).all()
    assert torch.isfinite(fitted.weights[1]).all()


@built
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("architecture", [SMALL, SPLINES], ids=str)
def test_a_bad_weight_anywhere_makes_the_loss_bad(stars, bad, architecture):
    drawn = FlowStack.draw(architecture, [np.random.default_rng(0)])
    layout, places = layout_of(architecture), drawn.mask.nonzero()[:, -1].tolist()
    workspace = Workspace(architecture)
    order = torch.arange(600, dtype=torch.int32)
    for place in places:
        weights = drawn.weights.detach().clone()
        weights[0, place] = bad
        packed = pack(weights, layout)[0]
        gradient = torch.empty_like(packed)
        loss = workspace.loss(
            packed, drawn.statistics[0], stars.train, (order, 600, 0), 600, gradient
        )
        assert not np.isfinite(loss) or not torch.isfinite(gradient).all()


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


@built
def test_auto_is_native_on_the_cpu_and_torch_elsewhere():
    for served in (SMALL, SPLINES, replace(SMALL, mixing="permutation")):
        assert choose_engine("auto", served, torch.device("cpu")) is NATIVE
    assert choose_engine("torch", SMALL, torch.device("cpu")) is TORCH
    assert choose_engine("auto", SMALL, torch.device("cuda")) is TORCH
    with pytest.raises(ValueError, match="engine is native, but that runs on the CPU"):
        choose_engine("native", SMALL, torch.device("cuda"))


@built
@pytest.mark.parametrize(
    ("architecture", "reason"),
    [
        (Architecture(2, 1, 2, (12,), family="iaf"), "no kernel for the family iaf"),
        (Architecture(2, 1, 2, (12,), family="rqs_coupling"), "for the family rqs_coupling"),
        (replace(SMALL, mixing="lu"), "no kernel for blocks mixed by lu"),
        (spline(2, 1, 2, (12,), RationalQuadratic(), base="uniform"), "for a uniform base"),
    ],
    ids=str,
)
def test_what_the_kernel_cannot_do_torch_does_and_one_line_says_so(architecture, reason, caplog):
    _tell.cache_clear()
    with caplog.at_level(logging.INFO, "viamachinae.flows"):
        for _ in range(3):
            assert choose_engine("auto", architecture, torch.device("cpu")) is TORCH
    assert len(caplog.records) == 1
    assert reason in caplog.text
    with pytest.raises(ValueError, match=reason):
        choose_engine("native", architecture, torch.device("cpu"))


def test_without_the_kernel_torch_takes_over_and_one_line_says_so(monkeypatch, caplog):
    monkeypatch.setattr(kernel, "find_spec", lambda _name: None)
    kernel._load.cache_clear()
    library.cache_clear()
    try:
        with caplog.at_level(logging.WARNING, "viamachinae.flows"):
            for _ in range(3):
                assert choose_engine("auto", SMALL, torch.device("cpu")) is TORCH
        assert [r.message for r in caplog.records if "was not built" in r.message] == [
            r.message for r in caplog.records
        ]
        assert len(caplog.records) == 1
        with pytest.raises(ValueError, match="not built with this installation, which needs"):
            choose_engine("native", SMALL, torch.device("cpu"))
        with pytest.raises(RuntimeError, match="was not built"):
            Workspace(SMALL)
    finally:
        kernel._load.cache_clear()
        library.cache_clear()
