"""The native engine trains as torch does, to rounding."""

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
    points,
)
from viamachinae.flows.architecture import Architecture
from viamachinae.flows.engines import NATIVE, TORCH
from viamachinae.flows.kernel import Workspace
from viamachinae.flows.lanes import FitOptions, Lanes, ModelState
from viamachinae.flows.layout import layout_of, pack
from viamachinae.flows.optimiser import AdamState
from viamachinae.flows.rows import Rows, Stars, Task
from viamachinae.flows.stack import FlowStack
from viamachinae.flows.training import fit

OPTIONS = FitOptions(
    learning_rate=5e-3, weight_decay=1e-2, batch_size=100, epochs=3, average_last=2, stack_size=16
)


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


@built
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_steps_of_one_call_are_those_of_many(schedule):
    """To the bit, across the end of the stars: so a fit may be halted anywhere."""
    stars, options = points(SMALL, 450, 1)[0], replace(OPTIONS, schedule=schedule)
    together, apart = (lanes_of(NATIVE, SMALL, stars, options) for _ in range(2))
    assert [together.step(most) for most in (2, 5, 40)] == [2, 5, 16]
    for _ in range(23):
        assert apart.step() == 1
    assert torch.equal(together.loss, apart.loss)
    for lane in (0, 1):
        ours, theirs = together.get(lane), apart.get(lane)
        assert torch.equal(ours.stack.weights, theirs.stack.weights)
        assert torch.equal(ours.adam.square, theirs.adam.square)
        assert ours.adam.step == theirs.adam.step == 23


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
