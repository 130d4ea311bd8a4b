"""A fit that was stopped goes on to the same bits; a stack that is too large is halved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from viamachinae.flows import lanes
from viamachinae.flows.architecture import Architecture
from viamachinae.flows.checkpoint import load_checkpoint, save_checkpoint
from viamachinae.flows.engines import NATIVE, TORCH, Engine
from viamachinae.flows.lanes import FitOptions, TorchLanes
from viamachinae.flows.rows import Rows, Stars, Task
from viamachinae.flows.training import Fit, fit
from viamachinae.flows.variants import library

OPTIONS = FitOptions(
    learning_rate=5e-3, weight_decay=1e-4, batch_size=64, epochs=3, average_last=2, stack_size=2
)
SMALL = Architecture(2, 1, 2, (12,))
ENGINES = [
    TORCH,
    pytest.param(NATIVE, marks=pytest.mark.skipif(library() is None, reason="not built")),
]


class Stopped(Exception):  # noqa: N818
    """The process ended."""


class Keeper:
    """Keeps one state in a file, and stops the fit at each of some steps."""

    def __init__(self, path: Path, stops: set[int]) -> None:
        self.path, self.stops = path, stops
        self.steps = 0
        self.loads = 0
        self.stopping = False

    def due(self) -> bool:
        # Asked after the step, and once more before the state is saved.
        if not self.stopping:
            self.steps += 1
            self.stopping = self.steps in self.stops
        return self.stopping

    def save(self, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
        save_checkpoint(self.path, tensors, header)
        if self.stopping:
            self.stopping = False
            raise Stopped

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        if not self.path.exists():
            return None
        self.loads += 1
        return load_checkpoint(self.path)

    def part(self, name: str) -> Keeper:
        return Keeper(self.path.with_name(name), self.stops)


@pytest.fixture(scope="module")
def stars() -> Stars:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1200, 3)).astype(np.float32)
    rows = torch.from_numpy(rows[np.argsort(rows[:, 2])])
    return Stars(rows[:1000].contiguous(), rows[1000:].contiguous())


def task(start: int, stop: int, complement: bool = False) -> Task:
    held_out = Rows(start // 5, stop // 5, complement)
    seed = np.random.SeedSequence([start, stop, complement])
    return Task(Rows(start, stop, complement), held_out, seed)


TASKS = [task(0, 1000), task(300, 700), task(300, 700, complement=True), task(900, 1000)]


def interrupted(
    architecture: Architecture,
    stars: Stars,
    options: FitOptions,
    engine: Engine,
    keeper: Keeper,
) -> tuple[Fit, int]:
    """Fit again and again until it ends; the fit, and how often it stopped."""
    for stop in range(1000):
        try:
            return fit(architecture, stars, TASKS, options, engine=engine, keeper=keeper), stop
        except Stopped:
            continue
    raise AssertionError("no end")


def assert_same(first: Fit, second: Fit) -> None:
    assert torch.equal(first.weights, second.weights)
    assert torch.equal(first.statistics, second.statistics)
    # Compared as text: NaN is no equal of itself.
    assert repr(first.history) == repr(second.history)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(
    "stops",
    [{1}, {16}, {17, 18, 40}, set(range(1, 200, 3))],
    ids=["first step", "end of an epoch", "thrice", "every third"],
)
def test_a_stopped_fit_ends_with_the_same_bits(
    stars: Stars, tmp_path: Path, engine: Engine, batch_norm: bool, stops: set[int]
) -> None:
    architecture = replace(SMALL, batch_norm=batch_norm)
    keeper = Keeper(tmp_path / "state", stops)
    fitted, stopped = interrupted(architecture, stars, OPTIONS, engine, keeper)
    assert stopped == keeper.loads > 0
    assert_same(fitted, fit(architecture, stars, TASKS, OPTIONS, engine=engine))


def test_schedule_patience_and_best_snapshots_go_on_too(stars: Stars, tmp_path: Path) -> None:
    options = replace(
        OPTIONS, epochs=30, patience=2, snapshots="best", schedule="cosine", learning_rate=3e-2
    )
    keeper = Keeper(tmp_path / "state", set(range(1, 2000, 23)))
    told: list[tuple[int, int]] = []
    fitted, stopped = interrupted(SMALL, stars, options, TORCH, keeper)
    assert stopped > 5
    assert_same(fitted, fit(SMALL, stars, TASKS, options, lambda *at: told.append(at)))
    assert told[-1][0] == told[-1][1]


def test_retries_go_on_too(stars: Stars, tmp_path: Path) -> None:
    poisoned = Stars(stars.train.clone(), stars.held_out)
    poisoned.train[950, 0] = torch.nan
    keeper = Keeper(tmp_path / "state", set(range(1, 200, 2)))
    fitted, _ = interrupted(SMALL, poisoned, OPTIONS, TORCH, keeper)
    assert fitted.failed.tolist() == [True, False, True, True]
    whole = fit(SMALL, poisoned, TASKS, OPTIONS)
    assert repr(fitted.history) == repr(whole.history)
    assert torch.equal(fitted.weights[1], whole.weights[1])


def test_a_fit_that_has_ended_is_not_done_again(
    stars: Stars, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = Keeper(tmp_path / "state", set())
    whole = fit(SMALL, stars, TASKS, OPTIONS, keeper=keeper)
    monkeypatch.setattr(TorchLanes, "step", None)
    assert_same(fit(SMALL, stars, TASKS, OPTIONS, keeper=keeper), whole)


def test_a_state_of_other_lanes_is_not_taken(stars: Stars, tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "state", {20})
    with pytest.raises(Stopped):
        fit(SMALL, stars, TASKS, OPTIONS, keeper=keeper)
    other = replace(OPTIONS, stack_size=3)
    assert_same(fit(SMALL, stars, TASKS, other, keeper=keeper), fit(SMALL, stars, TASKS, other))
    assert keeper.loads == 1


def test_progress_of_a_resumed_fit_ends_at_the_total(
    stars: Stars, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("viamachinae.flows.progress.INTERVAL", 0.0)
    keeper = Keeper(tmp_path / "state", {40})
    with pytest.raises(Stopped):
        fit(SMALL, stars, TASKS, OPTIONS, keeper=keeper)
    told: list[tuple[int, int]] = []
    fit(SMALL, stars, TASKS, OPTIONS, lambda *at: told.append(at), keeper=keeper)
    assert told[0][0] >= 40 * 64
    assert told[-1][0] == told[-1][1] == (16 + 7 + 10 + 2) * 3 * 64


def test_a_stack_without_memory_is_halved(
    stars: Stars, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A device with room for two flows: four, then two; it says so once."""
    options = replace(OPTIONS, stack_size=4)
    step = TorchLanes.step
    calls = []

    def full(self: TorchLanes, most: int) -> int:
        calls.append(len(self.loss))
        # After some steps, so that work in an epoch has to be thrown away.
        if len(self.loss) > 2 and len(calls) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(self, most)

    monkeypatch.setattr(lanes.TorchLanes, "step", full)
    told: list[tuple[int, int]] = []
    fitted = fit(SMALL, stars, TASKS, options, lambda *at: told.append(at))
    assert "no memory for 4 flows at once" in caplog.text
    assert max(calls[5:]) == 2
    assert told[-1][0] == told[-1][1]
    monkeypatch.undo()
    whole = fit(SMALL, stars, TASKS, options)
    torch.testing.assert_close(fitted.weights, whole.weights, rtol=1e-3, atol=1e-4)


def test_no_memory_for_one_flow_is_an_error(stars: Stars, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: TorchLanes, _most: int) -> int:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(lanes.TorchLanes, "step", full)
    with pytest.raises(torch.OutOfMemoryError):
        fit(SMALL, stars, TASKS, OPTIONS)
