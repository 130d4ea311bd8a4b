"""The native engine: what the torch engine computes, to rounding, variant by variant."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from viamachinae.flows import kernel
from viamachinae.flows.architecture import Architecture
from viamachinae.flows.engines import NATIVE, TORCH, choose_engine
from viamachinae.flows.kernel import VARIANTS, Workspace, built_variants, library
from viamachinae.flows.lanes import FitOptions, Lanes, ModelState
from viamachinae.flows.layout import layout_of, pack, unpack
from viamachinae.flows.native import NativeStack
from viamachinae.flows.optimiser import AdamState
from viamachinae.flows.rows import Rows, Stars, Task
from viamachinae.flows.stack import FlowStack
from viamachinae.flows.training import fit

built = pytest.mark.skipif(
    not built_variants(), reason="the native engine was not built with this installation"
)

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
]
OPTIONS = FitOptions(
    learning_rate=5e-3, weight_decay=1e-2, batch_size=100, epochs=3, average_last=2, stack_size=16
)
SMALL = Architecture(2, 1, 2, (12,))


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

    @pytest.mark.parametrize("variant", VARIANTS)
    def test_loss_and_gradient_are_those_of_autograd(self, architecture, variant):
        if variant not in built_variants():
            pytest.skip(f"{variant} was not built, or this processor cannot run it")
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
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_fit_is_that_of_torch_whatever_the_threads(stars, batch_norm, schedule):
    architecture, options = (
        replace(SMALL, batch_norm=batch_norm),
        replace(OPTIONS, schedule=schedule),
    )
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
def test_a_bad_star_is_seen_and_its_flows_fail_after_two_retries(stars, column, bad):
    poisoned = Stars(stars.train.clone(), stars.held_out)
    poisoned.train[570, column] = bad
    fitted = fit(SMALL, poisoned, TASKS, OPTIONS, engine=NATIVE)
    assert fitted.failed.tolist() == [True, False, True, True]
    assert [r.outcome for r in fitted.history if r.flow == 3] == ["retried", "retried", "failed"]
    assert torch.isnan(fitted.weights[3]).all()
    assert torch.isfinite(fitted.weights[1]).all()


@built
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_bad_weight_anywhere_makes_the_loss_bad(stars, bad):
    drawn = FlowStack.draw(SMALL, [np.random.default_rng(0)])
    layout, places = layout_of(SMALL), drawn.mask.nonzero().flatten().tolist()
    workspace = Workspace(SMALL)
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
def test_samples_are_those_of_torch():
    stack = wild_stack(SMALL).float()
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
    assert choose_engine("auto", SMALL, torch.device("cpu")) is NATIVE
    assert choose_engine("torch", SMALL, torch.device("cpu")) is TORCH
    assert choose_engine("auto", SMALL, torch.device("cuda")) is TORCH
    with pytest.raises(ValueError, match="engine is native, but that runs on the CPU"):
        choose_engine("native", SMALL, torch.device("cuda"))


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
