"""The whole state of a fit as tensors and plain values, from which it goes on to the same bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from viamachinae.flows.lanes import FitOptions, Lanes, ModelState
from viamachinae.flows.optimiser import AdamState
from viamachinae.flows.runs import EpochRecord, Run, Snapshot, stream


class Keeper(Protocol):
    """Where the state of a fit is kept while it lasts."""

    def due(self) -> bool:
        """Whether the state is to be saved now; asked after every step."""

    def save(self, tensors: Mapping[str, Tensor], header: Mapping[str, Any], /) -> None:
        """Keep a state; may end the process."""

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The state kept last, or None."""

    def part(self, name: str, /) -> Keeper:
        """The keeper of one of several fits that follow each other."""


def part_of(keeper: Keeper | None, name: str) -> Keeper | None:
    """The keeper of a part of the work, if any is kept."""
    return None if keeper is None else keeper.part(name)


class Lane(NamedTuple):
    """A flow in the middle of an epoch."""

    flow: int
    state: ModelState
    loss: Tensor


class Saved(NamedTuple):
    """Where a fit stood: the flows in the lanes, those that wait, and the number of lanes."""

    lanes: list[Lane]
    waiting: list[int]
    width: int


def save_state(
    keeper: Keeper,
    mark: Mapping[str, Any],
    runs: Sequence[Run],
    where: tuple[Lanes, Sequence[Run], Sequence[Run], int],
    options: FitOptions,
) -> None:
    """Keep where a fit stands.

    Parameters
    ----------
    mark : dict
        What `load_state` must be given to go on from this state.
    runs : sequence of Run
        All flows.
    where : tuple
        The lanes, the runs in them, the runs that wait, and the greatest number of lanes.
    """
    lanes, active, waiting, width = where
    live = [lanes.get(lane) for lane in range(len(active))]
    going = [run.good for run in runs if not run.ended(options)]
    snapshots = [snapshot.stack for run in runs for snapshot in run.snapshots]
    tensors = {**_tensors("live", live), **_tensors("good", going), "loss": lanes.loss}
    if snapshots:
        tensors["snapshot.weights"] = torch.cat([stack.weights.detach() for stack in snapshots])
        tensors["snapshot.statistics"] = torch.cat([stack.statistics for stack in snapshots])
    header = {
        "mark": mark,
        "runs": [_plain(run) for run in runs],
        "active": [run.flow for run in active],
        "waiting": [run.flow for run in waiting],
        "width": width,
    }
    keeper.save(tensors, header)


def load_state(
    keeper: Keeper, mark: Mapping[str, Any], runs: Sequence[Run], options: FitOptions
) -> Saved | None:
    """Bring all runs to where the kept state has them; None where there is none with this mark."""
    kept = keeper.load()
    if kept is None or kept[1]["mark"] != mark:
        return None
    tensors, header = kept
    first = runs[0].good.stack
    there = {name: tensor.to(first.weights.device) for name, tensor in tensors.items()}
    taken = 0
    for run, plain in zip(runs, header["runs"], strict=True):
        rows = slice(taken, taken := taken + len(plain["snapshots"]))
        _restore(run, plain, there, rows)
    going = [run for run in runs if not run.ended(options)]
    for row, run in enumerate(going):
        run.good = _state(run, there, "good", row)
    live = [
        Lane(flow, _state(runs[flow], there, "live", row), there["loss"][row])
        for row, flow in enumerate(header["active"])
    ]
    return Saved(live, header["waiting"], header["width"])


def _tensors(name: str, states: Sequence[ModelState]) -> dict[str, Tensor]:
    if not states:
        return {}
    return {
        f"{name}.weights": torch.cat([state.stack.weights.detach() for state in states]),
        f"{name}.statistics": torch.cat([state.stack.statistics for state in states]),
        f"{name}.mean": torch.cat([state.adam.mean for state in states]),
        f"{name}.square": torch.cat([state.adam.square for state in states]),
        f"{name}.step": torch.cat([state.adam.step for state in states]),
    }


def _state(run: Run, tensors: Mapping[str, Tensor], name: str, row: int) -> ModelState:
    own = {part: tensors[f"{name}.{part}"][row : row + 1].clone() for part in _PARTS}
    stack = run.good.stack
    made = type(stack)(stack.architecture, own["weights"], own["statistics"]).eval()
    return ModelState(made, AdamState(own["mean"], own["square"], own["step"]))


_PARTS = ("weights", "statistics", "mean", "square", "step")


def _plain(run: Run) -> dict[str, Any]:
    """What is no tensor; floats in hexadecimal, for they may be infinite or NaN."""
    return {
        "before": run.before,
        "attempt": run.attempt,
        "epoch": run.epoch,
        "step": run.step,
        "failed": run.failed,
        "best": run.best.hex(),
        "best_epoch": run.best_epoch,
        "snapshots": [(one.held_out.hex(), one.epoch) for one in run.snapshots],
        "history": [(r.epoch, r.loss.hex(), r.held_out.hex(), r.outcome) for r in run.history],
    }


def _restore(run: Run, plain: dict[str, Any], tensors: Mapping[str, Tensor], rows: slice) -> None:
    stack = run.good.stack
    run.attempt, run.epoch, run.step = plain["attempt"], plain["epoch"], plain["step"]
    run.failed, run.best_epoch = plain["failed"], plain["best_epoch"]
    run.best = float.fromhex(plain["best"])
    run.before = plain["before"]
    run.generator = stream(run.task.seed, run.attempt)
    run.generator.bit_generator.state = run.before
    run.history = [
        EpochRecord(run.flow, epoch, float.fromhex(loss), float.fromhex(held_out), outcome)
        for epoch, loss, held_out, outcome in plain["history"]
    ]
    run.snapshots = [
        Snapshot(
            float.fromhex(held_out),
            epoch,
            type(stack)(
                stack.architecture,
                tensors["snapshot.weights"][row : row + 1].clone(),
                tensors["snapshot.statistics"][row : row + 1].clone(),
            ).eval(),
        )
        for row, (held_out, epoch) in zip(
            range(rows.start, rows.stop), plain["snapshots"], strict=True
        )
    ]
