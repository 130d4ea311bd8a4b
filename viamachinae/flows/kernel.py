"""Talking to the compiled kernel of the flows (kernels/flow.cpp)."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from ctypes import Array, byref, c_int

import numpy as np
import torch
from torch import Tensor

from viamachinae.flows.architecture import Architecture
from viamachinae.flows.layout import network_of
from viamachinae.flows.mixing import Permutation, Reversal
from viamachinae.flows.variants import Shape, library, load

Tensors = tuple[Tensor, Tensor]

_thread = threading.local()


class Workspace:
    """The kernel's memory for flows of one shape; of use to one thread at a time.

    Parameters
    ----------
    architecture : Architecture
    tile : int, optional
        Stars that go through the flow together; the kernel chooses by default. To train with
        batch norm, at least a batch.
    variant : str, optional
        Of `built_variants`; the best by default.

    Raises
    ------
    RuntimeError
        If the kernel is not built or has no memory.
    """

    def __init__(
        self, architecture: Architecture, tile: int = 0, variant: str | None = None
    ) -> None:
        loaded = library() if variant is None else load(variant)
        if loaded is None:
            raise RuntimeError("the native engine was not built with this installation")
        self.library = loaded
        self.handle = loaded.flow_create(byref(_shape_of(architecture)), tile)
        if self.handle is None:
            raise RuntimeError("no memory for the native engine")
        weakref.finalize(self, loaded.flow_destroy, self.handle)

    @property
    def width(self) -> int:
        """Floats in a row of packed weights."""
        return int(self.library.flow_width(self.handle))

    def forward(self, packed: Tensor, statistics: Tensor, x: Tensor, given: Tensor) -> Tensors:
        """Of K flows, x (K, N, d), conditions (K, N, m): z (K, N, d), ln abs(dz/dx) (K, N)."""
        z, log_det = x.new_empty(x.shape), x.new_empty(x.shape[:2])
        self._map(self.library.flow_forward, packed, statistics, x, given, z, log_det)
        return z, log_det

    def inverse(self, packed: Tensor, statistics: Tensor, z: Tensor, given: Tensor) -> Tensors:
        """The inverse of `forward`: x and ln abs(dx/dz)."""
        x, log_det = z.new_empty(z.shape), z.new_empty(z.shape[:2])
        self._map(self.library.flow_inverse, packed, statistics, z, given, x, log_det)
        return x, log_det

    def log_prob(self, packed: Tensor, statistics: Tensor, x: Tensor, given: Tensor) -> Tensor:
        """Ln p (K, N), with a normal density in latent space; given as to `forward`."""
        found = x.new_empty(x.shape[:2])
        self._map(self.library.flow_log_prob, packed, statistics, x, given, found)
        return found

    def loss(
        self,
        packed: Tensor,
        statistics: Tensor,
        stars: Tensor,
        rows: tuple[Tensor, int, int],
        batch: int,
        gradient: Tensor,
    ) -> float:
        """The mean of -ln p over a batch; its gradient goes into the last argument.

        As in training: batch norm uses the batch, and moves `statistics`.

        Parameters
        ----------
        stars : Tensor of shape (N, d + m)
        rows : tuple of Tensor (int32) and two int
            Row numbers, how many of them are in use, and the first of the batch; after the
            last comes the first again.
        """
        order, count, cursor = rows
        result: float = self.library.flow_loss(
            self.handle,
            packed.data_ptr(),
            statistics.data_ptr(),
            stars.data_ptr(),
            order.data_ptr(),
            count,
            cursor,
            batch,
            gradient.data_ptr(),
        )
        return result

    def train(
        self,
        packed: Tensor,
        statistics: Tensor,
        moments: Tensors,
        mask: Tensor,
        stars: Tensor,
        rows: tuple[Tensor, int, int],
        batch: int,
        rates: Tensor,
        options: tuple[int, float, float],
        loss: float,
    ) -> float:
        """Steps of Adam as `optimiser.adam_step` takes them, each on the next batch of `rows`.

        As many as there are learning `rates` (float32); all else is changed in place, but only
        what `mask` shows of the weights. `options` are the steps taken before, the weight decay
        and the gradient's greatest length. Returns `loss` with the losses of all steps added.
        """
        order, count, cursor = rows
        taken, weight_decay, max_norm = options
        gradient = torch.empty_like(packed)
        result: float = self.library.flow_train(
            self.handle,
            packed.data_ptr(),
            statistics.data_ptr(),
            moments[0].data_ptr(),
            moments[1].data_ptr(),
            gradient.data_ptr(),
            mask.data_ptr(),
            stars.data_ptr(),
            order.data_ptr(),
            count,
            cursor,
            batch,
            len(rates),
            taken,
            rates.data_ptr(),
            weight_decay,
            max_norm,
            loss,
        )
        return result

    def _map(
        self,
        function: Callable[..., None],
        packed: Tensor,
        statistics: Tensor,
        x: Tensor,
        given: Tensor,
        *found: Tensor,
    ) -> None:
        x, given, statistics = _rows(x), _rows(given), statistics.contiguous()
        function(
            self.handle,
            len(packed),
            packed.data_ptr(),
            statistics.data_ptr(),
            x.data_ptr(),
            x.stride(0),
            given.data_ptr(),
            given.stride(0),
            x.shape[1],
            *(rows.data_ptr() for rows in found),
        )


def workspace_of(architecture: Architecture) -> Workspace:
    """The calling thread's own workspace for flows of one shape, made at the first call."""
    made: dict[Architecture, Workspace] = _thread.__dict__.setdefault("workspaces", {})
    if architecture not in made:
        made[architecture] = Workspace(architecture)
    return made[architecture]


def _rows(x: Tensor) -> Tensor:
    """The stars of each flow one after the other; all flows may share the same."""
    return x if x.is_contiguous() or x[0].is_contiguous() else x.contiguous()


def _shape_of(architecture: Architecture) -> Shape:
    spline = architecture.spline
    sizes = (spline.bound, spline.min_width, spline.min_height, spline.min_slope) if spline else ()
    degrees = np.concatenate(network_of(architecture).degrees()[1:])
    hidden = architecture.hidden
    return Shape(
        architecture.features,
        architecture.conditions,
        architecture.blocks,
        architecture.batch_norm,
        spline is None or architecture.affine_first,
        spline.bins if spline else 0,
        *(sizes or [0.0] * 4),
        len(hidden),
        _integers(hidden),
        _integers(degrees.tolist()),
        _integers(_places(architecture)),
    )


def _places(architecture: Architecture) -> Iterator[int]:
    """For each block but the first, the place in it of each feature of the block before."""
    for transform in architecture.transforms():
        if isinstance(transform, Reversal):
            yield from reversed(range(architecture.features))
        elif isinstance(transform, Permutation):
            yield from np.argsort(transform.order).tolist()


def _integers(values: Iterable[int]) -> Array[c_int]:
    listed = list(values)
    return (c_int * len(listed))(*listed)
