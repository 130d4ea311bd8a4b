"""Fitting: what is learned, independence of neighbours, and what happens to bad numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from viamachinae.flows import lanes
from viamachinae.flows.architecture import Architecture
from viamachinae.flows.lanes import FitOptions
from viamachinae.flows.rows import Rows, Stars, Task
from viamachinae.flows.stack import FlowStack
from viamachinae.flows.training import fit

OPTIONS = FitOptions(
    learning_rate=5e-3, weight_decay=0.0, batch_size=64, epochs=3, average_last=2, stack_size=16
)
SMALL = Architecture(2, 1, 2, (12,))


def conditional_gaussian(n: int, seed: int) -> torch.Tensor:
    """Rows (x, y, c) sorted by c, with p(x, y | c) Gaussian and its mean and scale from c."""
    rng = np.random.default_rng(seed)
    c = np.sort(rng.normal(size=n))
    x = np.sin(2 * c) + 0.5 * rng.normal(size=n)
    y = 0.8 * x - c + np.exp(0.3 * c) * 0.4 * rng.normal(size=n)
    return torch.from_numpy(np.column_stack([x, y, c]).astype(np.float32))


def true_log_prob(rows: torch.Tensor) -> np.ndarray:
    x, y, c = rows.double().numpy().T
    scale = np.exp(0.3 * c) * 0.4
    return (
        -0.5 * ((x - np.sin(2 * c)) / 0.5) ** 2
        - 0.5 * ((y - 0.8 * x + c) / scale) ** 2
        - np.log(0.5 * scale * 2 * np.pi)
    )


@pytest.fixture(scope="module")
def stars() -> Stars:
    return Stars(conditional_gaussian(1000, 0), conditional_gaussian(200, 1))


def task(start: int, stop: int, complement: bool = False, seed: int = 0) -> Task:
    held_out = Rows(start // 5, stop // 5, complement)
    return Task(Rows(start, stop, complement), held_out, np.random.SeedSequence([seed, start]))


TASKS = [task(0, 1000), task(300, 700), task(300, 700, complement=True), task(900, 1000)]


def test_a_condition_dependent_gaussian_is_learned():
    stars = Stars(conditional_gaussian(8000, 0), conditional_gaussian(4000, 1))
    whole = Task(Rows(0, 8000), Rows(0, 4000), np.random.SeedSequence(3))
    options = replace(OPTIONS, learning_rate=1e-2, epochs=12, average_last=4)
    architecture = Architecture(2, 1, 3, (32,))
    fitted = fit(architecture, stars, [whole], options)
    stack = FlowStack(architecture, fitted.weights[0], fitted.statistics[0]).eval()
    learned = stack.average_log_prob(stars.held_out[:, :2], stars.held_out[:, 2:])
    divergence = true_log_prob(stars.held_out).mean() - float(learned.double().mean())
    assert -0.005 < divergence < 0.03
    assert fitted.history[-1].held_out > fitted.history[0].held_out


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_flow_does_not_depend_on_its_neighbours(stars, batch_norm):
    architecture = replace(SMALL, batch_norm=batch_norm)
    together = fit(architecture, stars, TASKS, OPTIONS)
    waiting = fit(architecture, stars, TASKS, replace(OPTIONS, stack_size=2))
    for number, own in enumerate(TASKS):
        alone = fit(architecture, stars, [own], OPTIONS)
        for other in (alone.weights[0], waiting.weights[number]):
            torch.testing.assert_close(together.weights[number], other, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(
            together.statistics[number], alone.statistics[0], rtol=1e-3, atol=1e-4
        )


def test_the_same_seed_gives_the_same_flow_and_another_seed_another(stars):
    first, again = (fit(SMALL, stars, TASKS[:2], OPTIONS) for _ in range(2))
    other = fit(SMALL, stars, [task(0, 1000, seed=8)], OPTIONS)
    assert torch.equal(first.weights, again.weights)
    assert first.history == again.history
    assert not torch.equal(first.weights[0], other.weights[0])


def test_history_and_snapshots_have_one_entry_an_epoch(stars):
    fitted = fit(SMALL, stars, TASKS, OPTIONS)
    assert [(r.flow, r.epoch) for r in fitted.history] == [
        (f, e) for f in range(4) for e in range(3)
    ]
    assert {r.outcome for r in fitted.history} == {"done"}
    assert fitted.weights.shape[:2] == (4, 2)
    last = FlowStack(SMALL, fitted.weights[2, -1:], fitted.statistics[2, -1:]).eval()
    rows = torch.cat(list(TASKS[2].held_out.parts(stars.held_out)))[None]
    with torch.no_grad():
        expected = float(last.log_prob(rows[..., :2], rows[..., 2:]).double().mean())
    record = next(r for r in fitted.history if (r.flow, r.epoch) == (2, 2))
    assert record.held_out == pytest.approx(expected, rel=1e-5)


def test_progress_ends_at_the_total(stars, monkeypatch):
    monkeypatch.setattr("viamachinae.flows.progress.INTERVAL", 0.0)
    told: list[tuple[int, int]] = []
    fit(SMALL, stars, TASKS, OPTIONS, lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] == (16 + 7 + 10 + 2) * 3 * 64
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_flow_with_a_bad_star_fails_after_two_retries_and_others_go_on(stars):
    poisoned = Stars(stars.train.clone(), stars.held_out)
    poisoned.train[950, 0] = torch.nan
    fitted = fit(SMALL, poisoned, TASKS, OPTIONS)
    assert fitted.failed.tolist() == [True, False, True, True]
    outcomes = [r.outcome for r in fitted.history if r.flow == 3]
    assert outcomes == ["retried", "retried", "failed"]
    assert torch.isnan(fitted.weights[3]).all()
    clean = fit(SMALL, stars, TASKS, OPTIONS)
    torch.testing.assert_close(fitted.weights[1], clean.weights[1], rtol=1e-3, atol=1e-4)


def test_a_passing_failure_is_retried_from_the_last_good_epoch(stars, monkeypatch):
    calls = []

    def poison_once(weights, *args):
        training_step(weights, *args)
        calls.append(1)
        if len(calls) == 20:  # in the second epoch of 16 steps
            with torch.no_grad():
                weights[0] = torch.nan

    training_step = lanes.adam_step
    monkeypatch.setattr(lanes, "adam_step", poison_once)
    fitted = fit(SMALL, stars, TASKS[:1], OPTIONS)
    assert [(r.epoch, r.outcome) for r in fitted.history] == [
        (0, "done"),
        (1, "retried"),
        (1, "done"),
        (2, "done"),
    ]
    assert not fitted.failed.any()
    assert torch.isfinite(fitted.weights).all()
    assert len(calls) == 4 * 16
    assert fitted.history[-1].held_out > fitted.history[0].held_out


def test_a_flow_that_no_longer_improves_ends_early(stars):
    options = replace(OPTIONS, epochs=60, patience=3, snapshots="best", learning_rate=3e-2)
    told: list[tuple[int, int]] = []
    few = [task(0, 150), task(0, 1000)]
    fitted = fit(SMALL, stars, few, options, lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1]
    for flow in range(2):
        held_out = np.array([r.held_out for r in fitted.history if r.flow == flow])
        assert len(held_out) < 60
        assert np.argmax(held_out) == len(held_out) - 4
        best = sorted(np.argsort(held_out)[-2:])
        rows = torch.cat(list(few[flow].held_out.parts(stars.held_out)))[None]
        for epoch, weights in zip(best, fitted.weights[flow], strict=True):
            stack = FlowStack(SMALL, weights[None], fitted.statistics[flow, :1]).eval()
            with torch.no_grad():
                mean = float(stack.log_prob(rows[..., :2], rows[..., 2:]).double().mean())
            assert mean == pytest.approx(held_out[epoch], rel=1e-5)


def test_a_falling_learning_rate_ends_at_zero(stars):
    options = replace(OPTIONS, schedule="cosine", epochs=8, average_last=8)
    weights = fit(SMALL, stars, TASKS[:1], options).weights[0]
    steps = (weights[1:] - weights[:-1]).norm(dim=1)
    assert steps[-1] < 0.2 * steps[2]
    assert (steps > 0).all()


def test_a_task_without_stars_is_refused(stars):
    with pytest.raises(ValueError, match="flow 0 has no star to train on or none held out"):
        fit(SMALL, stars, [task(500, 500)], OPTIONS)


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu(stars):
    on_device = Stars(stars.train.cuda(), stars.held_out.cuda())
    here, there = (fit(SMALL, data, TASKS, OPTIONS) for data in (stars, on_device))
    for a, b in zip(here.history, there.history, strict=True):
        assert a.held_out == pytest.approx(b.held_out, abs=0.01)
