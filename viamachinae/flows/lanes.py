"""The working stack: flows that take their training steps together, one a lane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, pi
from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from viamachinae.flows.captured import Capture
from viamachinae.flows.optimiser import AdamState, adam_step, clip_by_model
from viamachinae.flows.stack import FlowStack

# Stars in a step of all lanes that keep one CPU core's caches busy and not flooded: measured.
CPU_STARS_PER_STEP = 4096


@dataclass(frozen=True)
class FitOptions:
    """How flows are fitted.

    Attributes
    ----------
    learning_rate, weight_decay : float
        Of Adam.
    batch_size : int
        Stars of each flow in a step.
    epochs, average_last : int
        Passes over each flow's stars, at most; so many snapshots are kept, each of an epoch.
    stack_size : int
        Most flows trained at once.
    max_gradient_norm : float
        A flow's gradient is shortened to this length.
    schedule : str
        ``constant``, or ``cosine``: the learning rate falls along half a cosine to zero at the
        end of the last epoch (Loshchilov & Hutter 2017, arXiv:1608.03983, without restarts).
    patience : int, optional
        A flow ends after so many epochs without a better held-out likelihood, but not before
        it has all its snapshots.
    snapshots : str
        Those of the ``last`` epochs, or of the ``best`` by held-out likelihood.
    threads : int
        Of the native engine, each with flows of its own; torch's are set elsewhere.
    """

    learning_rate: float
    weight_decay: float
    batch_size: int
    epochs: int
    average_last: int
    stack_size: int
    max_gradient_norm: float = 1.0
    schedule: Literal["constant", "cosine"] = "constant"
    patience: int | None = None
    snapshots: Literal["last", "best"] = "last"
    threads: int = 1

    def updates(self, n_stars: int) -> int:
        """Steps that a flow of so many stars takes in all."""
        return ceil(n_stars / self.batch_size) * self.epochs

    def rate(self, step: Tensor, updates: Tensor | int) -> float | Tensor:
        """Learning rate of a flow's next step, of which `step` went before."""
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * 0.5 * (1 + torch.cos(pi * step / updates))


class ModelState(NamedTuple):
    """All that training changes in one flow."""

    stack: FlowStack
    adam: AdamState


class Lanes(Protocol):
    """Flows in training, one a lane, each independent of the rest.

    Attributes
    ----------
    loss : Tensor of shape (L,)
        Sum of each lane's losses since its epoch began.
    """

    loss: Tensor

    def __init__(
        self, stars: Tensor, options: FitOptions, states: Sequence[ModelState], longest: int, /
    ) -> None: ...

    @staticmethod
    def width(options: FitOptions, device: torch.device, /) -> int:
        """Most lanes that pay."""

    def put(self, lane: int, state: ModelState, /) -> None:
        """Continue in a lane from a given state."""

    def get(self, lane: int, /) -> ModelState:
        """A copy of a lane's state, with the stack in evaluation mode."""

    def begin_epoch(self, lane: int, order: NDArray[np.int32], after: int = 0, /) -> None:
        """Give a lane the row numbers of its stars, of which it took so many steps already."""

    def keep(self, lanes: Sequence[int], /) -> None:
        """Close all lanes but these."""

    def step(self, most: int = 1, /) -> int:
        """One update or more of every lane, `most` at most; how many they were.

        Each one's loss, the mean of -ln p, is added to `loss`.
        """


class TorchLanes:
    """Lanes whose tensors are stacked: lane l is row l of each.

    Parameters
    ----------
    stars : Tensor of shape (N, d + m)
        The shared training stars; a step draws row numbers and copies no more than its batch.
    options : FitOptions
    states : sequence of L ModelState
        The first flows.
    longest : int
        Most stars that any flow has.
    """

    def __init__(
        self,
        stars: Tensor,
        options: FitOptions,
        states: Sequence[ModelState],
        longest: int,
    ) -> None:
        device = stars.device
        self.stars = stars
        self.options = options
        self.stack = states[0].stack.select([0] * len(states)).train()
        self.adam = AdamState.fresh(self.stack.weights)
        for lane, state in enumerate(states):
            self.put(lane, state)
        self.batch = torch.arange(options.batch_size, device=device)
        self.order = torch.zeros(len(states), longest, dtype=torch.int32, device=device)
        self.count = torch.ones(len(states), 1, dtype=torch.int64, device=device)
        self.cursor = torch.zeros_like(self.count)
        self.updates = torch.ones(len(states), 1, device=device)
        self.loss = torch.zeros(len(states), device=device)
        self.capture = Capture(device)

    @staticmethod
    def width(options: FitOptions, device: torch.device) -> int:
        """As many as memory allows; on a CPU, as keep its caches busy and not flooded."""
        if device.type != "cpu":
            return options.stack_size
        return min(options.stack_size, max(1, CPU_STARS_PER_STEP // options.batch_size))

    def put(self, lane: int, state: ModelState) -> None:
        """Continue in a lane from a given state."""
        with torch.no_grad():
            self.stack.weights[lane] = state.stack.weights[0]
            self.stack.statistics[lane] = state.stack.statistics[0]
        self.adam.put(lane, state.adam)

    def get(self, lane: int) -> ModelState:
        """A copy of a lane's state, with the stack in evaluation mode."""
        return ModelState(self.stack.select([lane]).eval(), self.adam.select([lane]))

    def begin_epoch(self, lane: int, order: NDArray[np.int32], after: int = 0) -> None:
        """Give a lane the row numbers of its stars, of which it took so many steps already."""
        self.order[lane, : len(order)] = torch.from_numpy(order).to(self.order.device)
        self.count[lane], self.loss[lane] = len(order), 0
        self.cursor[lane] = after * self.options.batch_size
        self.updates[lane] = self.options.updates(len(order))

    def keep(self, lanes: Sequence[int]) -> None:
        """Close all lanes but these."""
        rows = torch.as_tensor(lanes, dtype=torch.int64, device=self.loss.device)
        self.stack, self.adam = self.stack.select(lanes), self.adam.select(lanes)
        self.order, self.count, self.cursor = self.order[rows], self.count[rows], self.cursor[rows]
        self.updates, self.loss = self.updates[rows], self.loss[rows]
        self.capture = Capture(rows.device)

    def step(self, _most: int = 1) -> int:
        """One update of every lane; its loss, the mean of -ln p, is added to `loss`.

        Nothing here waits for the device.
        """
        self.capture.run(self._update)
        return 1

    def _update(self) -> None:
        """The work of a step: every number that it changes, it changes in place."""
        # The last batch of an epoch is filled up with the epoch's first stars.
        position = (self.cursor + self.batch) % self.count
        loss, gradient = self._loss_and_gradient(self.order.gather(1, position).long())
        options = self.options
        clip_by_model(gradient, options.max_gradient_norm)
        learning_rate = options.rate(self.adam.step, self.updates)
        adam_step(self.stack.weights, gradient, self.adam, learning_rate, options.weight_decay)
        self.loss += loss
        self.cursor += len(self.batch)

    def _loss_and_gradient(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Of the batches (L, batch) of all lanes: the means of -ln p (L,), and by the weights."""
        stars = self.stars.index_select(0, rows.flatten()).view(*rows.shape, -1)
        features = self.stack.architecture.features
        loss = -self.stack.log_prob(stars[..., :features], stars[..., features:]).mean(dim=1)
        (gradient,) = torch.autograd.grad(loss.sum(), self.stack.weights)
        return loss.detach(), gradient
