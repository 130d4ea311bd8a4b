"""Fitting many flows by maximum likelihood, each on its own rows of shared stars."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, inf, isfinite
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from viamachinae.flows.architecture import Architecture
from viamachinae.flows.engines import TORCH, Engine
from viamachinae.flows.lanes import FitOptions, Lanes, ModelState
from viamachinae.flows.optimiser import AdamState
from viamachinae.flows.progress import Progress, Reporter
from viamachinae.flows.rows import Picked, Rows, Stars, Task
from viamachinae.flows.stack import CHUNK, FlowStack

# A flow whose likelihood is not finite goes back to its last good epoch this often.
MAX_RETRIES = 2


class EpochRecord(NamedTuple):
    """How one epoch of one flow ended.

    `loss` is the mean of -ln p over the epoch's steps, `held_out` the mean of ln p over the
    held-out stars after it, both in the space of the stars given. `outcome` is ``done``,
    ``retried`` (not finite: the flow went back to its last good epoch) or ``failed``.
    """

    flow: int
    epoch: int
    loss: float
    held_out: float
    outcome: str


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


class _Snapshot(NamedTuple):
    held_out: float
    epoch: int
    stack: FlowStack


@dataclass
class _Run:
    """One flow on its way."""

    flow: int
    task: Task
    n_train: int
    steps: int
    good: ModelState
    generator: np.random.Generator
    attempt: int = 0
    epoch: int = 0
    step: int = 0
    failed: bool = False
    best: float = -inf
    best_epoch: int = 0
    snapshots: list[_Snapshot] = field(default_factory=list)
    history: list[EpochRecord] = field(default_factory=list)


def fit(
    architecture: Architecture,
    stars: Stars,
    tasks: Sequence[Task],
    options: FitOptions,
    on_step: Progress | None = None,
    *,
    engine: Engine = TORCH,
) -> Fit:
    """Fit one flow to each task.

    Flows train in the lanes of a working stack. A lane whose flow has ended takes the next one
    that waits, so the stack stays full although flows have different numbers of stars. What a
    flow becomes depends on its own rows and seed, not on its neighbours.

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

    Raises
    ------
    ValueError
        If a task has no star to train on or none held out.
    """
    runs = [
        _start(engine.stack, architecture, stars, number, task, options)
        for number, task in enumerate(tasks)
    ]
    # Longest first, so that no long flow is left to train alone at the end.
    waiting = deque(sorted(runs, key=lambda run: -run.steps))
    width = min(len(runs), engine.lanes.width(options, stars.train.device))
    active = [waiting.popleft() for _ in range(width)]
    lanes = engine.lanes(
        stars.train,
        options,
        [run.good for run in active],
        max(run.n_train for run in runs),
    )
    for lane, run in enumerate(active):
        _enter(lanes, lane, run, stars)
    report = Reporter(sum(run.steps for run in runs) * options.epochs, options.batch_size, on_step)
    while active:
        _advance(lanes, active, report)
        for lane, run in enumerate(active):
            if run.step < run.steps:
                continue
            _end_epoch(lanes, lane, run, stars, options, report)
            if not _ended(run, options):
                lanes.begin_epoch(lane, run.task.train.shuffled(len(stars.train), run.generator))
            elif waiting:
                active[lane] = waiting.popleft()
                _enter(lanes, lane, active[lane], stars)
        going = [lane for lane, run in enumerate(active) if not _ended(run, options)]
        if len(going) < len(active):
            active = [active[lane] for lane in going]
            lanes.keep(going)
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


def _start(
    kind: type[FlowStack],
    architecture: Architecture,
    stars: Stars,
    number: int,
    task: Task,
    options: FitOptions,
) -> _Run:
    n_train = task.train.count(len(stars.train))
    if n_train < 1 or task.held_out.count(len(stars.held_out)) < 1:
        raise ValueError(f"flow {number} has no star to train on or none held out")
    generator = _stream(task.seed, attempt=0)
    good = _fresh(kind, architecture, generator, stars.train.device)
    return _Run(number, task, n_train, ceil(n_train / options.batch_size), good, generator)


def _stream(seed: np.random.SeedSequence, attempt: int) -> np.random.Generator:
    own = np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, attempt))
    return np.random.default_rng(own)


def _fresh(
    kind: type[FlowStack],
    architecture: Architecture,
    generator: np.random.Generator,
    device: torch.device,
) -> ModelState:
    stack = kind.draw(architecture, [generator]).to(device)
    return ModelState(stack, AdamState.fresh(stack.weights))


def _ended(run: _Run, options: FitOptions) -> bool:
    return run.failed or run.epoch == options.epochs or _out_of_patience(run, options)


def _out_of_patience(run: _Run, options: FitOptions) -> bool:
    if options.patience is None or len(run.snapshots) < options.average_last:
        return False
    return run.epoch - run.best_epoch >= options.patience


def _enter(lanes: Lanes, lane: int, run: _Run, stars: Stars) -> None:
    """Let a run begin in a lane."""
    lanes.put(lane, run.good)
    lanes.begin_epoch(lane, run.task.train.shuffled(len(stars.train), run.generator))


def _advance(lanes: Lanes, active: list[_Run], report: Reporter) -> None:
    """Step all lanes until the first of them has ended its epoch."""
    steps = min(run.steps - run.step for run in active)
    for _ in range(steps):
        lanes.step()
        report.add(len(active))
    for run in active:
        run.step += steps


def _end_epoch(
    lanes: Lanes, lane: int, run: _Run, stars: Stars, options: FitOptions, report: Reporter
) -> None:
    """Judge the epoch that a lane has ended: go on from it, or back to the last good one."""
    state = lanes.get(lane)
    loss = float(lanes.loss[lane]) / run.steps
    held_out = held_out_log_prob(state.stack, stars.held_out, run.task.held_out)
    run.step = 0
    if isfinite(loss) and isfinite(held_out):
        run.history.append(EpochRecord(run.flow, run.epoch, loss, held_out, "done"))
        run.epoch += 1
        run.good = state
        _keep_snapshot(run, held_out, options)
        if _out_of_patience(run, options):
            report.add((options.epochs - run.epoch) * run.steps)
        return
    run.failed = run.attempt == MAX_RETRIES
    outcome = "failed" if run.failed else "retried"
    run.history.append(EpochRecord(run.flow, run.epoch, loss, held_out, outcome))
    report.add(-run.steps)
    if run.failed:
        report.add((options.epochs - run.epoch) * run.steps)
        return
    run.attempt += 1
    run.generator = _stream(run.task.seed, run.attempt)
    if run.epoch == 0:
        first = run.good.stack
        run.good = _fresh(type(first), first.architecture, run.generator, stars.train.device)
    lanes.put(lane, run.good)


def _keep_snapshot(run: _Run, held_out: float, options: FitOptions) -> None:
    """Take in the epoch that has ended; of too many snapshots the oldest or the worst goes."""
    if held_out > run.best:
        run.best, run.best_epoch = held_out, run.epoch
    run.snapshots.append(_Snapshot(held_out, run.epoch, run.good.stack))
    if len(run.snapshots) > options.average_last:
        best = options.snapshots == "best"
        run.snapshots.remove(min(run.snapshots, key=lambda s: s.held_out if best else s.epoch))


def _collect(runs: list[_Run], options: FitOptions, engine: str) -> Fit:
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
