"""A step of training may be recorded as a CUDA graph, and does the same from the recording."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.flows.families import ARCHITECTURES, name
from viamachinae.flows.architecture import Architecture
from viamachinae.flows.captured import WARM_UP, Capture
from viamachinae.flows.lanes import FitOptions, ModelState, TorchLanes
from viamachinae.flows.optimiser import AdamState
from viamachinae.flows.stack import FlowStack

OPTIONS = FitOptions(
    learning_rate=1e-3,
    weight_decay=1e-4,
    batch_size=32,
    epochs=3,
    average_last=1,
    stack_size=4,
    schedule="cosine",
)
# What makes the processor wait for the device, or sends it a list: a recording has neither.
WAITING = ("_local_scalar_dense", "nonzero", "lift_fresh", "index.Tensor", "masked_select")


def lanes_of(architecture: Architecture, options: FitOptions = OPTIONS, device="cpu") -> TorchLanes:
    drawn = np.random.default_rng(1).normal(size=(90, architecture.features + 3))
    stars = torch.from_numpy(drawn[:, : architecture.features + architecture.conditions])
    stacks = [FlowStack.draw(architecture, [np.random.default_rng(k)]) for k in range(3)]
    states = [
        ModelState(stack, AdamState.fresh(stack.weights))
        for stack in (stack.to(device) for stack in stacks)
    ]
    lanes = TorchLanes(stars.float().to(device), options, states, 90)
    for lane, count in enumerate((90, 70, 33)):
        lanes.begin_epoch(lane, np.random.default_rng(lane).permutation(count).astype("i4"))
    return lanes


def storages(lanes: TorchLanes) -> dict[str, Tensor]:
    """All that a lane is told and all that a step leaves."""
    own = {key: value for key, value in vars(lanes).items() if isinstance(value, Tensor)}
    adam = {f"adam.{key}": value for key, value in vars(lanes.adam).items()}
    return own | adam | dict(lanes.stack.named_parameters()) | dict(lanes.stack.named_buffers())


class Watch(TorchDispatchMode):
    """Notes the operations that a recording must not have."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(waiting in str(func) for waiting in WAITING):
            self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=name)
def test_a_step_writes_where_the_last_one_wrote_and_waits_for_nothing(architecture):
    lanes = lanes_of(architecture)
    before = storages(lanes)
    places = {key: value.data_ptr() for key, value in before.items()}
    numbers = {key: value.detach().clone() for key, value in before.items()}
    with Watch() as watch:
        lanes.step()
        lanes.step()
    after = storages(lanes)
    assert {key: value.data_ptr() for key, value in after.items()} == places
    changed = {key for key in numbers if not torch.equal(numbers[key], after[key])}
    moved = {"weights", "adam.mean", "adam.square", "adam.step", "cursor", "loss"}
    assert changed == moved | ({"statistics"} if architecture.batch_norm else set())
    assert not watch.seen


def test_what_waits_is_seen():
    with Watch() as watch:
        numbers = torch.arange(3.0)
        numbers[[2, 0]]
        bool(numbers.sum() > 1)
    assert any("_local_scalar_dense" in seen for seen in watch.seen)
    assert any("index.Tensor" in seen for seen in watch.seen)


def test_on_the_cpu_the_work_is_done_as_it_is():
    done = []
    capture = Capture(torch.device("cpu"))
    for number in range(WARM_UP + 2):
        capture.run(lambda number=number: done.append(number))
    assert done == list(range(WARM_UP + 2))


@pytest.mark.gpu
@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=name)
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_recorded_steps_are_those_that_are_not(architecture, schedule):
    options = replace(OPTIONS, schedule=schedule)
    recorded, eager = (lanes_of(architecture, options, "cuda") for _ in range(2))
    eager.capture.refused = True
    for steps in (WARM_UP, 5):
        for lanes in (recorded, eager):
            for _ in range(steps):
                lanes.step()
    assert recorded.capture.graph is not None
    for lanes in (recorded, eager):
        lanes.keep([2, 0])
        lanes.begin_epoch(0, np.arange(80, dtype=np.int32))
        for _ in range(WARM_UP + 2):
            lanes.step()
    eager.capture.refused = True
    for ours, theirs in zip(storages(recorded).items(), storages(eager).items(), strict=True):
        torch.testing.assert_close(ours[1], theirs[1], rtol=1e-4, atol=1e-6, msg=ours[0])
