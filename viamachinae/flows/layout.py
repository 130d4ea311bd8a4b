"""How the native engine's kernel lays out the weights of a flow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from viamachinae.flows.architecture import Architecture
from viamachinae.flows.blocks import Autoregressive
from viamachinae.flows.networks import MaskedMLP

Index = NDArray[np.int64]

# Columns of a matrix are padded to a multiple of this.
PADDING = 4


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

    The layout is described in kernels/flow.cpp.
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
            matrix = matrix[np.arange(len(matrix)).reshape(network.outputs, -1).T.ravel()]
        yield np.pad(matrix, ((0, 0), (0, -matrix.shape[1] % PADDING)), constant_values=-1)


def network_of(architecture: Architecture) -> MaskedMLP:
    """The network that every block has.

    Raises
    ------
    TypeError
        If the blocks are not autoregressive ones.
    """
    block = architecture.transforms()[0]
    if not isinstance(block, Autoregressive):
        raise TypeError(f"the native engine has no kernel for the family {architecture.family}")
    return block.network
