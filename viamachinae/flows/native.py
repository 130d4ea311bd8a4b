"""The native engine: autoregressive flows in a compiled kernel, on the CPU.

It computes what the torch engine computes, in float32 and another order of summation.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from viamachinae.flows.bases import Normal
from viamachinae.flows.kernel import Workspace, workspace_of
from viamachinae.flows.lanes import FitOptions, ModelState
from viamachinae.flows.layout import layout_of, pack, unpack
from viamachinae.flows.optimiser import AdamState
from viamachinae.flows.stack import FlowStack


class NativeStack(FlowStack):
    """A stack whose maps run in the kernel wherever it can do the work.

    That is: in evaluation mode, without autograd (under `torch.no_grad`), in float32 on the CPU.
    Elsewhere the torch code runs, so the stack has the same interface and the same meaning.
    """

    # The weights in the kernel's layout, after the state of the weights that they are of.
    _packed: tuple[Tensor, int, int, Tensor] | None = None

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to latent space."""
        if not self._kernel_serves(x):
            return super().forward(x, condition)
        return workspace_of(self.architecture).forward(*self._given(x, condition))

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Latent space to data, at the cost of one `forward`."""
        if not self._kernel_serves(z):
            return super().inverse(z, condition)
        return workspace_of(self.architecture).inverse(*self._given(z, condition))

    def log_prob(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Natural logarithm of p(x | condition) of each model at its own points, shape (K, N)."""
        if not (self._kernel_serves(x) and isinstance(self.base, Normal)):
            return super().log_prob(x, condition)
        return workspace_of(self.architecture).log_prob(*self._given(x, condition))

    def _kernel_serves(self, x: Tensor) -> bool:
        plain = all(t.dtype == torch.float32 and t.device.type == "cpu" for t in (x, self.weights))
        return plain and not self.training and not torch.is_grad_enabled()

    def _given(self, x: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What the kernel is given."""
        return self._rows(), self.statistics, x, self._checked(x, condition).to(x)

    def _rows(self) -> Tensor:
        """The weights in the kernel's layout; packed anew once torch has changed them."""
        weights, kept = self.weights, self._packed
        place, version = weights.data_ptr(), weights._version
        if kept is None or kept[0] is not weights or kept[1:3] != (place, version):
            rows = pack(weights.detach() * self.mask, layout_of(self.architecture))
            self._packed = kept = weights, place, version, rows
        return kept[3]


# Between two calls of the kernel a fit reports, keeps its state, and threads wait for each other.
STEPS_OF_A_CALL = 16


@dataclass
class _Lane:
    """One flow in training, its numbers in the kernel's layout."""

    weights: Tensor
    statistics: Tensor
    mean: Tensor
    square: Tensor
    steps: int
    workspace: Workspace
    order: Tensor = field(default_factory=lambda: torch.zeros(1, dtype=torch.int32))
    cursor: int = 0
    updates: int = 1


class NativeLanes:
    """Flows in training; the interface of `TorchLanes`, whose steps it takes to rounding.

    Each lane trains alone, so a stack has no advantage: more than one serves to use threads.
    """

    loss: Tensor

    def __init__(
        self, stars: Tensor, options: FitOptions, states: Sequence[ModelState], _longest: int
    ) -> None:
        architecture = states[0].stack.architecture
        self.architecture, self.options = architecture, options
        self.stars = stars.contiguous()
        self.layout = layout_of(architecture)
        self.mask = pack(states[0].stack.mask[None], self.layout)[0]
        # Batch norm looks at the whole batch: then a batch is one tile.
        tile = options.batch_size if architecture.batch_norm else 0
        self.lanes = [self._lane(state, Workspace(architecture, tile)) for state in states]
        self.loss = torch.zeros(len(states), dtype=torch.float64)
        self.pool = ThreadPoolExecutor(options.threads) if options.threads > 1 else None

    @staticmethod
    def width(options: FitOptions, _device: torch.device) -> int:
        """Flows to train together: one for each thread."""
        return min(options.stack_size, options.threads)

    def put(self, lane: int, state: ModelState) -> None:
        """Continue in a lane from a given state."""
        old = self.lanes[lane]
        self.lanes[lane] = self._lane(state, old.workspace)
        self.lanes[lane].order, self.lanes[lane].cursor = old.order, old.cursor
        self.lanes[lane].updates = old.updates

    def get(self, lane: int) -> ModelState:
        """A copy of a lane's state, with the stack in evaluation mode."""
        own = self.lanes[lane]
        rows = unpack(torch.stack([own.weights, own.mean, own.square]), self.layout)
        stack = NativeStack(self.architecture, rows[:1], own.statistics[None].clone())
        steps = torch.tensor([[float(own.steps)]])
        return ModelState(stack.eval(), AdamState(rows[1:2], rows[2:], steps))

    def begin_epoch(self, lane: int, order: NDArray[np.int32], after: int = 0) -> None:
        """Give a lane the row numbers of its stars, of which it took so many steps already."""
        self.lanes[lane].order = torch.from_numpy(order).contiguous()
        self.lanes[lane].cursor, self.loss[lane] = after * self.options.batch_size, 0
        self.lanes[lane].updates = self.options.updates(len(order))

    def keep(self, lanes: Sequence[int]) -> None:
        """Close all lanes but these."""
        self.lanes, self.loss = [self.lanes[lane] for lane in lanes], self.loss[list(lanes)]
        if not lanes and self.pool is not None:
            self.pool.shutdown()

    def step(self, most: int = 1) -> int:
        """As many updates of every lane as one call of the kernel makes; how many they were."""
        steps = min(most, STEPS_OF_A_CALL)
        work = map if self.pool is None else self.pool.map
        losses = work(partial(self._train, steps), self.lanes, self.loss.tolist())
        self.loss = torch.tensor(list(losses), dtype=torch.float64)
        return steps

    def _train(self, steps: int, own: _Lane, loss: float) -> float:
        options = self.options
        # One by one: torch rounds a cosine differently by its place in a tensor.
        taken = (torch.tensor(float(own.steps + step)) for step in range(steps))
        rates = [float(options.rate(step, own.updates)) for step in taken]
        loss = own.workspace.train(
            own.weights,
            own.statistics,
            (own.mean, own.square),
            self.mask,
            self.stars,
            (own.order, len(own.order), own.cursor),
            options.batch_size,
            torch.tensor(rates),
            (own.steps, options.weight_decay, options.max_gradient_norm),
            loss,
        )
        own.cursor += steps * options.batch_size
        own.steps += steps
        return loss

    def _lane(self, state: ModelState, workspace: Workspace) -> _Lane:
        stack, adam = state
        rows = torch.cat([stack.weights.detach() * stack.mask, adam.mean, adam.square])
        weights, mean, square = pack(rows, self.layout)
        steps = int(adam.step[0, 0])
        return _Lane(weights, stack.statistics[0].clone(), mean, square, steps, workspace)
