"""One flow on its way through training: its epochs, its snapshots, its retries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil, inf, isfinite
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from viamachinae.flows.architecture import Architecture
from viamachinae.flows.lanes import FitOptions, ModelState
from viamachinae.flows.optimiser import AdamState
from viamachinae.flows.rows import Stars, Task
from viamachinae.flows.stack import FlowStack

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


class Snapshot(NamedTuple):
    """A flow as it was after an epoch."""

    held_out: float
    epoch: int
    stack: FlowStack


@dataclass
class Run:
    """One flow on its way.

    Attributes
    ----------
    flow, task, n_train, steps : int, Task, int, int
        Which flow, on what; its training stars, and its steps an epoch.
    good : ModelState
        As it was after its last good epoch.
    generator : numpy.random.Generator
        Draws the order of the stars.
    before : mapping
        State of the generator when the epoch began, from which the epoch can be drawn again.
    attempt, epoch, step : int
        Retries so far, epochs done, and steps done of the one at work.
    failed : bool
    best, best_epoch : float, int
        The best held-out likelihood, and after how many epochs.
    snapshots, history : list
    """

    flow: int
    task: Task
    n_train: int
    steps: int
    good: ModelState
    generator: np.random.Generator
    before: Mapping[str, Any]
    attempt: int = 0
    epoch: int = 0
    step: int = 0
    failed: bool = False
    best: float = -inf
    best_epoch: int = 0
    snapshots: list[Snapshot] = field(default_factory=list)
    history: list[EpochRecord] = field(default_factory=list)

    def ended(self, options: FitOptions) -> bool:
        """Whether nothing is left to do."""
        return self.failed or self.epoch == options.epochs or self._out_of_patience(options)

    def progress(self, options: FitOptions) -> int:
        """Steps done, of all that there are."""
        epochs = options.epochs if self.ended(options) else self.epoch
        return epochs * self.steps + self.step

    def draw_order(self, stars: Stars) -> NDArray[np.int32]:
        """Row numbers of the stars in the order in which the next epoch sees them."""
        self.before = self.generator.bit_generator.state
        return self.task.train.shuffled(len(stars.train), self.generator)

    def rewind(self) -> None:
        """Go back to where the epoch at work began."""
        self.step = 0
        self.generator.bit_generator.state = self.before

    def end_epoch(
        self, state: ModelState, loss: float, held_out: float, options: FitOptions
    ) -> bool:
        """Judge the epoch that has ended; False where the flow goes back to the last good one."""
        self.step = 0
        if isfinite(loss) and isfinite(held_out):
            self.history.append(EpochRecord(self.flow, self.epoch, loss, held_out, "done"))
            self.epoch += 1
            self.good = state
            self._keep_snapshot(held_out, options)
            return True
        self.failed = self.attempt == MAX_RETRIES
        outcome = "failed" if self.failed else "retried"
        self.history.append(EpochRecord(self.flow, self.epoch, loss, held_out, outcome))
        if not self.failed:
            self._retry()
        return False

    def _retry(self) -> None:
        """Go on from the last good epoch, or afresh where there is none, with another seed."""
        self.attempt += 1
        self.generator = stream(self.task.seed, self.attempt)
        if self.epoch == 0:
            first = self.good.stack
            device = first.weights.device
            self.good = _fresh(type(first), first.architecture, self.generator, device)

    def _keep_snapshot(self, held_out: float, options: FitOptions) -> None:
        """Take in the epoch that has ended; of too many the oldest or the worst goes."""
        if held_out > self.best:
            self.best, self.best_epoch = held_out, self.epoch
        self.snapshots.append(Snapshot(held_out, self.epoch, self.good.stack))
        if len(self.snapshots) > options.average_last:
            best = options.snapshots == "best"
            worst = min(self.snapshots, key=lambda one: one.held_out if best else one.epoch)
            self.snapshots.remove(worst)

    def _out_of_patience(self, options: FitOptions) -> bool:
        if options.patience is None or len(self.snapshots) < options.average_last:
            return False
        return self.epoch - self.best_epoch >= options.patience


def start(
    kind: type[FlowStack],
    architecture: Architecture,
    stars: Stars,
    flow: int,
    task: Task,
    options: FitOptions,
) -> Run:
    """The untrained flow of a task.

    Raises
    ------
    ValueError
        If the task has no star to train on or none held out.
    """
    n_train = task.train.count(len(stars.train))
    if n_train < 1 or task.held_out.count(len(stars.held_out)) < 1:
        raise ValueError(f"flow {flow} has no star to train on or none held out")
    generator = stream(task.seed, attempt=0)
    good = _fresh(kind, architecture, generator, stars.train.device)
    steps = ceil(n_train / options.batch_size)
    return Run(flow, task, n_train, steps, good, generator, generator.bit_generator.state)


def stream(seed: np.random.SeedSequence, attempt: int) -> np.random.Generator:
    """The random stream of one attempt at a flow."""
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
