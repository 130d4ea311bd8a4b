"""The compiled kernel of the flows (kernels/flow.cpp): finding it, and talking to it."""

from __future__ import annotations

import ctypes
import logging
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from ctypes import POINTER, Array, Structure, byref, c_double, c_float, c_int, c_int64, c_void_p
from functools import cache
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

from viamachinae.flows.architecture import Architecture
from viamachinae.flows.layout import network_of
from viamachinae.flows.mixing import Permutation, Reversal

logger = logging.getLogger("viamachinae.flows")

Tensors = tuple[Tensor, Tensor]

_thread = threading.local()

# From the widest vectors to none in particular.
VARIANTS = ("avx512", "avx2", "generic")


class _Shape(Structure):
    """The struct of that name in kernels/shape.h."""

    _fields_ = (
        *((name, c_int) for name in ("features", "conditions", "blocks", "batch_norm")),
        *((name, c_int) for name in ("affine", "bins")),
        *((name, c_float) for name in ("bound", "min_width", "min_height", "min_slope")),
        ("n_hidden", c_int),
        *((name, POINTER(c_int)) for name in ("hidden", "degrees", "places")),
    )


SIGNATURES = {
    "flow_runs_here": (c_int, []),
    "flow_create": (c_void_p, [POINTER(_Shape), c_int]),
    "flow_destroy": (None, [c_void_p]),
    "flow_width": (c_int64, [c_void_p]),
    "flow_forward": (None, [*[c_void_p] * 5, c_int64, c_void_p, c_void_p]),
    "flow_inverse": (None, [*[c_void_p] * 5, c_int64, c_void_p, c_void_p]),
    "flow_loss": (c_double, [*[c_void_p] * 5, *[c_int64] * 3, c_void_p]),
    "flow_update": (None, [*[c_void_p] * 5, c_int64, *[c_float] * 4]),
    "flow_peak": (c_double, [c_int64]),
}


def built_variants() -> list[str]:
    """The variants that this installation holds and this processor can run, best first."""
    return [variant for variant in VARIANTS if _load(variant) is not None]


@cache
def library() -> ctypes.CDLL | None:
    """The best variant of the kernel; None, and one line in the log, where there is none."""
    for variant in VARIANTS:
        loaded = _load(variant)
        if loaded is not None:
            return loaded
    logger.warning(
        "the native engine was not built with this installation (no C++ compiler was found): "
        "flows run on torch, several times slower on a CPU"
    )
    return None


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
        loaded = library() if variant is None else _load(variant)
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
        """Of x (N, d) with conditions (N, m), for one flow: z (N, d) and ln abs(dz/dx) (N,)."""
        return self._map(self.library.flow_forward, packed, statistics, x, given)

    def inverse(self, packed: Tensor, statistics: Tensor, z: Tensor, given: Tensor) -> Tensors:
        """The inverse of `forward`: x and ln abs(dx/dz)."""
        return self._map(self.library.flow_inverse, packed, statistics, z, given)

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

    def update(
        self,
        packed: Tensor,
        gradient: Tensor,
        moments: tuple[Tensor, Tensor],
        mask: Tensor,
        step: int,
        options: tuple[float, float, float],
    ) -> None:
        """One update by Adam, the `step`-th, as `optimiser.adam_step` does it.

        `options` are learning rate, weight decay and the gradient's greatest length; what `mask`
        hides is zeroed in `gradient`.
        """
        self.library.flow_update(
            packed.data_ptr(),
            gradient.data_ptr(),
            moments[0].data_ptr(),
            moments[1].data_ptr(),
            mask.data_ptr(),
            len(packed),
            step,
            *options,
        )

    def _map(
        self,
        function: Callable[..., None],
        packed: Tensor,
        statistics: Tensor,
        x: Tensor,
        given: Tensor,
    ) -> Tensors:
        x, given, statistics = x.contiguous(), given.contiguous(), statistics.contiguous()
        mapped, log_det = torch.empty_like(x), x.new_empty(len(x))
        function(
            self.handle,
            packed.data_ptr(),
            statistics.data_ptr(),
            x.data_ptr(),
            given.data_ptr(),
            len(x),
            mapped.data_ptr(),
            log_det.data_ptr(),
        )
        return mapped, log_det


def workspace_of(architecture: Architecture) -> Workspace:
    """The calling thread's own workspace for flows of one shape, made at the first call."""
    made: dict[Architecture, Workspace] = _thread.__dict__.setdefault("workspaces", {})
    if architecture not in made:
        made[architecture] = Workspace(architecture)
    return made[architecture]


def _shape_of(architecture: Architecture) -> _Shape:
    spline = architecture.spline
    sizes = (spline.bound, spline.min_width, spline.min_height, spline.min_slope) if spline else ()
    degrees = np.concatenate(network_of(architecture).degrees()[1:])
    hidden = architecture.hidden
    return _Shape(
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


@cache
def _load(variant: str) -> ctypes.CDLL | None:
    spec = find_spec(f"viamachinae.flows._flow_{variant}")
    if spec is None or spec.origin is None:
        return None
    loaded = ctypes.CDLL(spec.origin)
    for name, (result, arguments) in SIGNATURES.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded if loaded.flow_runs_here() else None
