"""Fitting many flows by maximum likelihood, each on its own rows of shared stars."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from viamachinae.flows.architecture import Architecture
from viamachinae.flows.engines import TORCH, Engine
from viamachinae.flows.lanes import FitOptions, Lanes
from viamachinae.flows.progress import Progress, Reporter
from viamachinae.flows.resume import Keeper, load_state, save_state
from viamachinae.flows.rows import Picked, Rows, Stars, Task
from viamachinae.flows.runs import EpochRecord, Run, start
from viamachinae.flows.stack import CHUNK, FlowStack

logger = logging.getLogger(__name__)


class Fit(NamedTuple):
    """Fitted flows, on the CPU.

    Attributes
    ----------
    weights : Tensor of shape (flows, average_last, P)
        Snapshots; NaN where a flow failed.
    statistics : Tensor of shape (flows, average_last, S)
        The running statistics that belong to them.
    failed : ndarray of shape (flows,), bool
        Flows whose likelihood stayed not finite.
    history : list of EpochRecord
        Sorted by flow.
    engine : str
        Name of the engine that computed.
    """

    weights: Tensor
    statistics: Tensor
    failed: NDArray[np.bool_]
    history: list[EpochRecord]
    engine: str


def fit(
    architecture: Architecture,
    stars: Stars,
    tasks: Sequence[Task],
    options: FitOptions,
    on_step: Progress | None = None,
    *,
    engine: Engine = TORCH,
    keeper: Keeper | None = None,
) -> Fit:
    """Fit one flow to each task.

    Flows train in the lanes of a working stack. A lane whose flow has ended takes the next one
    that waits, so the stack stays full although flows have different numbers of stars. What a
    flow becomes depends on its own rows and seed, not on its neighbours. A stack too large for
    the device's memory is halved, and its flows begin their epochs again.

    Parameters
    ----------
    architecture : Architecture
    stars : Stars
        On the device to compute on.
    tasks : sequence of Task
    options : FitOptions
    on_step : callable, optional
        Called about twice a second with the star updates done and those to do in all.
    engine : Engine, optional
        What computes; `choose_engine` knows which can.
    keeper : Keeper, optional
        Keeps the state of the fit now and then; a fit of the same tasks, options and engine goes
        on from the state kept, and ends with the same bits as if it had never stopped.

    Raises
    ------
    ValueError
        If a task has no star to train on or none held out.
    torch.OutOfMemoryError
        If the device has no room for one flow.
    """
    runs = [
        start(engine.stack, architecture, stars, number, task, options)
        for number, task in enumerate(tasks)
    ]
    report = Reporter(sum(run.steps for run in runs) * options.epochs, options.batch_size, on_step)
    fitting = _Fitting(stars, options, engine, keeper, report, runs)
    while fitting.active:
        if not _in_memory(fitting):
            fitting.halve()
    report.tell()
    return _collect(runs, options, engine.name)


def held_out_log_prob(stack: FlowStack, stars: Tensor, rows: Rows | Picked) -> float:
    """Mean of ln p of a single flow over its rows of (N, d + m), in float64."""
    features = stack.architecture.features
    total = torch.zeros((), dtype=torch.float64, device=stars.device)
    with torch.no_grad():
        for part in rows.parts(stars):
            for chunk in torch.split(part.unsqueeze(0), CHUNK, dim=1):
                log_prob = stack.log_prob(chunk[..., :features], chunk[..., features:])
                total += log_prob.double().sum()
    return float(total) / rows.count(len(stars))


@dataclass
class _Fitting:
    """All flows of a fit: those in the lanes, those that wait for one, those that have ended."""

    stars: Stars
    options: FitOptions
    engine: Engine
    keeper: Keeper | None
    report: Reporter
    runs: list[Run]

    def __post_init__(self) -> None:
        # Longest first, so that no long flow is left to train alone at the end.
        self.waiting = deque(sorted(self.runs, key=lambda run: -run.steps))
        self.width = self.engine.lanes.width(self.options, self.stars.train.device)
        self.active: list[Run] = []
        self.saved = None
        if self.keeper is not None:
            self.saved = load_state(self.keeper, self._mark(), self.runs, self.options)
        if self.saved is not None:
            self.width = self.saved.width
            self.active = [self.runs[lane.flow] for lane in self.saved.lanes]
            self.waiting = deque(self.runs[flow] for flow in self.saved.waiting)
            self.report.add(sum(run.progress(self.options) for run in self.runs))
        self._fill()

    def work(self) -> None:
        """Open the lanes and train to the end."""
        lanes = self._open()
        while self.active:
            self._advance(lanes)
            for lane, run in enumerate(self.active):
                if run.step < run.steps:
                    continue
                self._end_epoch(lanes, lane, run)
                if run.ended(self.options) and self.waiting:
                    run = self.active[lane] = self.waiting.popleft()
                    lanes.put(lane, run.good)
                if not run.ended(self.options):
                    lanes.begin_epoch(lane, run.draw_order(self.stars))
            going = [n for n, run in enumerate(self.active) if not run.ended(self.options)]
            if len(going) < len(self.active):
                self.active = [self.active[lane] for lane in going]
                lanes.keep(going)
            # At the end too, for what is trained next may take long.
            if self.keeper is not None and (not self.active or self.keeper.due()):
                where = lanes, self.active, list(self.waiting), self.width
                save_state(self.keeper, self._mark(), self.runs, where, self.options)

    def halve(self) -> None:
        """Go on with half the lanes; every flow in them begins its epoch again."""
        self.width = max(1, len(self.active) // 2)
        for run in self.active:
            self.report.add(-run.step)
            run.rewind()
        self.waiting.extendleft(reversed(self.active))
        self.active, self.saved = [], None
        self._fill()

    def _fill(self) -> None:
        while self.waiting and len(self.active) < self.width:
            self.active.append(self.waiting.popleft())

    def _mark(self) -> dict[str, Any]:
        """The same flows in other lanes or by another engine would differ by their rounding."""
        return {
            "engine": self.engine.name,
            "device": self.stars.train.device.type,
            "stack_size": self.options.stack_size,
            "flows": len(self.runs),
        }

    def _open(self) -> Lanes:
        """Lanes with the active flows in them, where they stood."""
        saved = self.saved.lanes if self.saved else []
        states = [lane.state for lane in saved] + [run.good for run in self.active[len(saved) :]]
        longest = max(run.n_train for run in self.runs)
        lanes = self.engine.lanes(self.stars.train, self.options, states, longest)
        for lane, run in enumerate(self.active):
            lanes.begin_epoch(lane, run.draw_order(self.stars), run.step)
            if lane < len(saved):
                lanes.loss[lane] = saved[lane].loss
        self.saved = None
        return lanes

    def _advance(self, lanes: Lanes) -> None:
        """Step all lanes until the first of them has ended its epoch, or the state is due."""
        left = min(run.steps - run.step for run in self.active)
        while left:
            taken = lanes.step(left)
            left -= taken
            self.report.add(taken * len(self.active))
            for run in self.active:
                run.step += taken
            if self.keeper is not None and self.keeper.due():
                break

    def _end_epoch(self, lanes: Lanes, lane: int, run: Run) -> None:
        """Judge the epoch that a lane has ended: go on from it, or back to the last good one."""
        state = lanes.get(lane)
        loss = float(lanes.loss[lane]) / run.steps
        held_out = held_out_log_prob(state.stack, self.stars.held_out, run.task.held_out)
        before = run.progress(self.options)
        if not run.end_epoch(state, loss, held_out, self.options):
            lanes.put(lane, run.good)
        self.report.add(run.progress(self.options) - before)


def _in_memory(fitting: _Fitting) -> bool:
    """Train to the end; False where the device's memory did not suffice."""
    try:
        fitting.work()
    except torch.OutOfMemoryError:
        if len(fitting.active) == 1:
            raise
        logger.warning("no memory for %d flows at once: going on with half", len(fitting.active))
        return False
    return True


def _collect(runs: list[Run], options: FitOptions, engine: str) -> Fit:
    stack = runs[0].good.stack
    shape = (len(runs), options.average_last)
    weights = torch.full((*shape, stack.weights.shape[1]), torch.nan)
    statistics = torch.full((*shape, stack.statistics.shape[1]), torch.nan)
    for run in runs:
        if not run.failed:
            joined = FlowStack.join([snapshot.stack for snapshot in run.snapshots])
            weights[run.flow], statistics[run.flow] = joined.weights.detach(), joined.statistics
    history = [record for run in runs for record in run.history]
    return Fit(weights, statistics, np.array([run.failed for run in runs]), history, engine)
