"""The compiled kernel of the affine flow (kernels/maf.cpp): finding it, and talking to it."""

from __future__ import annotations

import ctypes
import logging
import weakref
from collections.abc import Callable, Iterator, Mapping
from ctypes import POINTER, c_double, c_float, c_int, c_int64, c_void_p
from functools import cache
from importlib.util import find_spec
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from viamachinae.flows.architecture import Architecture
from viamachinae.flows.blocks import Autoregressive
from viamachinae.flows.networks import MaskedMLP

logger = logging.getLogger("viamachinae.flows")

Index = NDArray[np.int64]
Tensors = tuple[Tensor, Tensor]

# From the widest vectors to none in particular.
VARIANTS = ("avx512", "avx2", "generic")
# Columns of a matrix are padded to a multiple of this.
PADDING = 4

SIGNATURES = {
    "maf_runs_here": (c_int, []),
    "maf_create": (c_void_p, [*[c_int] * 5, POINTER(c_int), POINTER(c_int), c_int]),
    "maf_destroy": (None, [c_void_p]),
    "maf_width": (c_int64, [c_void_p]),
    "maf_forward": (None, [*[c_void_p] * 5, c_int64, c_void_p, c_void_p]),
    "maf_inverse": (None, [*[c_void_p] * 5, c_int64, c_void_p, c_void_p]),
    "maf_loss": (c_double, [*[c_void_p] * 5, *[c_int64] * 3, c_void_p]),
    "maf_update": (None, [*[c_void_p] * 5, c_int64, *[c_float] * 4]),
    "maf_peak": (c_double, [c_int64]),
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
        degrees = _network(architecture).degrees()[1:]
        hidden = architecture.hidden
        self.library = loaded
        self.handle = loaded.maf_create(
            architecture.features,
            architecture.conditions,
            architecture.blocks,
            architecture.batch_norm,
            len(hidden),
            (c_int * len(hidden))(*hidden),
            (c_int * sum(hidden))(*np.concatenate(degrees).tolist()),
            tile,
        )
        if self.handle is None:
            raise RuntimeError("no memory for the native engine")
        weakref.finalize(self, loaded.maf_destroy, self.handle)

    @property
    def width(self) -> int:
        """Floats in a row of packed weights."""
        return int(self.library.maf_width(self.handle))

    def forward(self, packed: Tensor, statistics: Tensor, x: Tensor, given: Tensor) -> Tensors:
        """Of x (N, d) with conditions (N, m), for one flow: z (N, d) and ln abs(dz/dx) (N,)."""
        return self._map(self.library.maf_forward, packed, statistics, x, given)

    def inverse(self, packed: Tensor, statistics: Tensor, z: Tensor, given: Tensor) -> Tensors:
        """The inverse of `forward`: x and ln abs(dx/dz)."""
        return self._map(self.library.maf_inverse, packed, statistics, z, given)

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
        result: float = self.library.maf_loss(
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
        self.library.maf_update(
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


def pack(rows: Tensor, layout: Tensor) -> Tensor:
    """Rows (K, P) of a `FlowStack`, masked, in the kernel's layout; zeros in the padding."""
    padded = torch.cat([rows, rows.new_zeros(len(rows), 1)], dim=1)
    return padded.index_select(1, torch.where(layout < 0, rows.shape[1], layout))


def unpack(packed: Tensor, layout: Tensor) -> Tensor:
    """The inverse of `pack`."""
    used = layout >= 0
    rows = packed.new_empty(len(packed), int(used.sum()))
    rows[:, layout[used]] = packed[:, used]
    return rows


@cache
def layout_of(architecture: Architecture) -> Tensor:
    """For each place of the kernel's row of weights, the place in a `FlowStack`'s; -1: padding.

    The layout is described in kernels/maf.cpp.
    """
    parts: list[Index] = []
    start = 0
    for transform in architecture.transforms():
        places: dict[str, Index] = {}
        for name, shape in transform.shapes().items():
            places[name] = np.arange(start, start + prod(shape)).reshape(shape)
            start += prod(shape)
        if isinstance(transform, Autoregressive):
            parts.extend(_network_places(transform.network, places))
        else:
            parts.extend(places.values())
    return torch.from_numpy(np.concatenate([part.ravel() for part in parts]))


def _network_places(network: MaskedMLP, places: Mapping[str, Index]) -> Iterator[Index]:
    """A matrix a layer: bias, inputs by degree, padding."""
    last = len(network.hidden)
    for layer, degrees in enumerate(network.degrees()):
        weight, bias = places[f"weight{layer}"], places[f"bias{layer}"]
        matrix = np.column_stack([bias, weight[:, np.argsort(degrees, kind="stable")]])
        if layer == last:
            matrix = matrix[np.arange(len(matrix)).reshape(2, -1).T.ravel()]
        yield np.pad(matrix, ((0, 0), (0, -matrix.shape[1] % PADDING)), constant_values=-1)


def _network(architecture: Architecture) -> MaskedMLP:
    return MaskedMLP(architecture.features, architecture.conditions, architecture.hidden, outputs=2)


@cache
def _load(variant: str) -> ctypes.CDLL | None:
    spec = find_spec(f"viamachinae.flows._maf_{variant}")
    if spec is None or spec.origin is None:
        return None
    loaded = ctypes.CDLL(spec.origin)
    for name, (result, arguments) in SIGNATURES.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded if loaded.maf_runs_here() else None
