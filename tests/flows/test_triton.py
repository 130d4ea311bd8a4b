"""The triton engine computes what torch does, to rounding.

The reference is torch in double precision, with gradients by autograd. Where there is a CUDA
device the tests run on it, and are marked so; elsewhere triton's interpreter runs the kernels.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from tests.flows.shapes import ARCHITECTURES, SMALL, SPLINES, points, spline, wild_stack
from viamachinae.flows.architecture import Architecture
from viamachinae.flows.engines import TORCH, TRITON, Engine, _tell, choose_engine
from viamachinae.flows.gpu import check, launch
from viamachinae.flows.gpu.engine import TritonStack
from viamachinae.flows.gpu.launch import Loss, loss_of_batch, tiling
from viamachinae.flows.gpu.shape import shape_of
from viamachinae.flows.lanes import FitOptions, Lanes, ModelState
from viamachinae.flows.optimiser import AdamState
from viamachinae.flows.rows import Rows, Stars, Task
from viamachinae.flows.splines import RationalQuadratic
from viamachinae.flows.training import fit

ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")
pytestmark = [
    pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed"),
    *([pytest.mark.gpu] if ON_GPU else []),
]
# The interpreter takes its time.
FEW = [
    Architecture(2, 0, 1, (3, 5)),
    Architecture(5, 1, 2, (64, 64)),
    Architecture(5, 1, 2, (128,)),
    Architecture(7, 2, 2, (30, 6, 50)),
    Architecture(4, 1, 3, (24,), mixing="permutation"),
    Architecture(3, 2, 3, (47,), batch_norm=True),
    # Its raw parameters fill their columns to the last.
    spline(2, 0, 1, (9,), RationalQuadratic(11)),
    spline(2, 1, 2, (16,), RationalQuadratic(3, bound=1.0), affine_first=True),
    spline(2, 2, 2, (7, 20), RationalQuadratic(5, 2.0, 0.01, 0.02, 0.1)),
    spline(2, 1, 2, (20,), RationalQuadratic(4), affine_first=True, batch_norm=True),
]
SHAPES = [*ARCHITECTURES, *FEW] if ON_GPU else FEW
OPTIONS = FitOptions(
    learning_rate=1e-3, weight_decay=1e-2, batch_size=60, epochs=2, average_last=1, stack_size=4
)


def stars_for(architecture: Architecture) -> int:
    """A ragged tile; with batch norm, whose tiles depend on each other, one more before it."""
    return 140 if architecture.batch_norm else 40


@pytest.fixture(scope="module", autouse=True)
def _interpreter() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if not ON_GPU:
            patch.setenv("TRITON_INTERPRET", "1")
        yield


def on_device(architecture: Architecture) -> TritonStack:
    """The stack of `wild_stack`, in single precision."""
    wild = wild_stack(architecture)
    weights = wild.weights.detach().float()
    return TritonStack(architecture, weights, wild.statistics.float()).eval().to(DEVICE)


def loss_of(architecture: Architecture, stars: torch.Tensor, rows: torch.Tensor) -> Loss:
    stack = on_device(architecture)
    weights = (stack.weights * stack.mask).detach()
    found = loss_of_batch(architecture, weights, stars.to(DEVICE), rows.to(DEVICE))
    masked = found._replace(gradient=found.gradient * stack.mask)
    return Loss(*(part.cpu() for part in masked))


@pytest.mark.parametrize("architecture", SHAPES, ids=str)
class TestKernels:
    def test_densities_are_those_of_torch_in_double_precision(self, architecture):
        rows, ours = points(architecture, stars_for(architecture)), on_device(architecture)
        x, condition = rows.split([architecture.features, architecture.conditions], dim=2)
        with torch.no_grad():
            expected, change = wild_stack(architecture)(x.double(), condition.double())
            z, log_det = ours(x.to(DEVICE), condition.to(DEVICE))
        torch.testing.assert_close(z.cpu().double(), expected, rtol=1e-5, atol=5e-5)
        torch.testing.assert_close(log_det.cpu().double(), change, rtol=1e-5, atol=5e-5)

    def test_loss_and_gradient_are_those_of_autograd(self, architecture):
        n = stars_for(architecture)
        reference, stars = wild_stack(architecture).train(), points(architecture, n)
        # Each flow has rows of its own, some of them twice.
        rows = torch.from_numpy(np.random.default_rng(3).integers(2 * n, size=(2, n)))
        flat = stars.flatten(0, 1)
        x, condition = flat[rows].split([architecture.features, architecture.conditions], dim=2)
        loss = -reference.log_prob(x.double(), condition.double()).mean(dim=1)
        (expected,) = torch.autograd.grad(loss.sum(), reference.weights)
        found = loss_of(architecture, flat, rows)
        torch.testing.assert_close(found.loss.double(), loss.detach(), rtol=1e-5, atol=1e-6)
        scale = float(expected.abs().max())
        torch.testing.assert_close(found.gradient.double(), expected, rtol=1e-4, atol=1e-5 * scale)
        if architecture.batch_norm:
            before = wild_stack(architecture).statistics
            moved = torch.lerp(before, found.statistics.double(), 0.1)
            torch.testing.assert_close(moved, reference.statistics, rtol=1e-5, atol=1e-5)


def test_a_batch_of_many_tiles_is_shared_by_few_programs(monkeypatch):
    stars, rows = points(SMALL, 150).flatten(0, 1), torch.arange(300).view(2, 150)
    assert tiling(shape_of(SMALL), 150) == (3, 1)
    expected = loss_of(SMALL, stars, rows)
    monkeypatch.setattr(launch, "MOST_GROUPS", 2)
    # The second of two programs has a tile without stars.
    assert tiling(shape_of(SMALL), 150) == (2, 2)
    found = loss_of(SMALL, stars, rows)
    torch.testing.assert_close(found.loss, expected.loss, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.gradient, expected.gradient, rtol=1e-4, atol=1e-6)


def test_the_same_batch_gives_the_same_bits():
    stars, rows = points(SMALL, 40).flatten(0, 1), torch.arange(80).view(2, 40)
    first, second = (loss_of(SMALL, stars, rows) for _ in range(2))
    assert torch.equal(first.gradient, second.gradient)
    assert torch.equal(first.loss, second.loss)


@pytest.mark.parametrize(
    ("architecture", "column", "bad"),
    [(SMALL, 0, torch.nan), (SMALL, 1, torch.inf), (SMALL, 2, torch.nan), (SPLINES, 1, torch.nan)],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # numpy, in the interpreter
def test_a_bad_star_makes_the_loss_bad(architecture, column, bad):
    stars = points(architecture, 40).flatten(0, 1)
    stars[7, column] = bad
    found = loss_of(architecture, stars, torch.arange(80).view(2, 40))
    assert torch.isfinite(found.loss).tolist() == [False, True]


def lanes_of(engine: Engine, architecture: Architecture, stars: torch.Tensor) -> Lanes:
    """Two lanes that have their own weights, and so many stars that batches are filled up."""
    stacks = [engine.stack.draw(architecture, [np.random.default_rng(k)]) for k in (1, 2)]
    states = [ModelState(s, AdamState.fresh(s.weights)) for s in (s.to(DEVICE) for s in stacks)]
    lanes = engine.lanes(stars.to(DEVICE), OPTIONS, states, len(stars))
    for lane, count in ((0, len(stars)), (1, 130)):
        lanes.begin_epoch(lane, np.random.default_rng(lane).permutation(count).astype("i4"))
    return lanes


@pytest.mark.parametrize("architecture", [SMALL, replace(SMALL, batch_norm=True), SPLINES], ids=str)
def test_training_steps_are_those_of_torch(architecture):
    """Rounding differs, and Adam amplifies it: a step moves each weight by the rate at most."""
    stars = points(architecture, 200, 1)[0]
    ours, reference = (lanes_of(engine, architecture, stars) for engine in (TRITON, TORCH))
    for _ in range(2 + 28 * ON_GPU):
        ours.step()
        reference.step()
    for lane in (0, 1):
        found, expected = ours.get(lane), reference.get(lane)
        assert isinstance(found.stack, TritonStack)
        assert float(ours.loss[lane]) == pytest.approx(float(reference.loss[lane]), rel=1e-4)
        near = (found.stack.weights - expected.stack.weights).abs() < 1e-3
        # Batch norm undoes a block's last biases, whose gradients are rounding alone.
        moved = 2 * architecture.features * (architecture.blocks + 1) * architecture.batch_norm
        assert (~near).sum() <= 1e-3 * near.numel() + moved
        torch.testing.assert_close(
            found.stack.statistics, expected.stack.statistics, rtol=1e-4, atol=1e-4
        )
        scale = float(expected.adam.mean.abs().max())
        assert float((found.adam.mean - expected.adam.mean).abs().max()) < 2e-2 * scale


def test_a_fit_is_that_of_torch():
    rows = points(SMALL, 260, 1)[0].to(DEVICE)
    stars = Stars(rows[:200].contiguous(), rows[200:].contiguous())
    tasks = [Task(Rows(0, stop), Rows(0, 60), np.random.SeedSequence(stop)) for stop in (200, 90)]
    ours, theirs = (fit(SMALL, stars, tasks, OPTIONS, engine=engine) for engine in (TRITON, TORCH))
    assert ours.engine == "triton"
    for found, expected in zip(ours.history, theirs.history, strict=True):
        assert found.loss == pytest.approx(expected.loss, rel=1e-5)
        assert found.held_out == pytest.approx(expected.held_out, rel=1e-5)


def test_where_gradients_are_wanted_the_stack_is_torchs():
    stack = on_device(SMALL)
    x, condition = points(SMALL, 20).to(DEVICE).split([2, 1], dim=2)
    (gradient,) = torch.autograd.grad(stack.log_prob(x, condition).sum(), stack.weights)
    assert torch.isfinite(gradient).all()
    assert isinstance(stack.select([1]), TritonStack)


class TestCheck:
    """Before it serves a flow, the engine is held against torch."""

    def test_it_passes_far_from_its_limit(self):
        assert check.worst_error(SMALL, DEVICE) < check.TOLERANCE / 100
        assert choose_engine("triton", SMALL, DEVICE) is TRITON

    def test_kernels_that_differ_are_not_used(self, monkeypatch, caplog):
        def wrong(*given):
            found = loss_of_batch(*given)
            return found._replace(gradient=found.gradient * 1.01)

        monkeypatch.setattr(check, "loss_of_batch", wrong)
        check._disagreement.cache_clear()
        with pytest.raises(ValueError, match="engine is triton, but its kernels differ from torch"):
            choose_engine("triton", SMALL, DEVICE)
        if ON_GPU:
            _tell.cache_clear()
            with caplog.at_level(logging.INFO, "viamachinae.flows"):
                assert choose_engine("auto", SMALL, DEVICE) is TORCH
            assert "not on the triton engine: its kernels differ" in caplog.text
        check._disagreement.cache_clear()

    def test_kernels_that_do_not_run_are_not_used(self, monkeypatch):
        def broken(*_given):
            raise RuntimeError("first\nno such instruction")

        monkeypatch.setattr(check, "loss_of_batch", broken)
        check._disagreement.cache_clear()
        with pytest.raises(ValueError, match="do not run here: no such instruction; use auto or"):
            choose_engine("triton", SMALL, DEVICE)
        check._disagreement.cache_clear()
