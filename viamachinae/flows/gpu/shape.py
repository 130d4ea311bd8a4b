"""How the triton engine lays out a flow: sizes padded to what its matrix products take."""

from __future__ import annotations

from functools import cache
from math import expm1, log, prod
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from viamachinae.flows.architecture import Architecture
from viamachinae.flows.layout import network_of
from viamachinae.flows.mixing import Permutation, Reversal
from viamachinae.flows.splines import RationalQuadratic

Index = NDArray[np.int64]

# Least side of a matrix in tl.dot, and most units of a hidden layer whose weights, in single
# precision, stand in the shared memory of a device beside what else must be there.
LEAST = 16
MOST_UNITS = 128
MOST_LAYERS = 3
MOST_RAW = 64

# Stars that a program takes through a block together. With batch norm one program has the whole
# batch of a flow, and its tiles and its warps are more.
TILE, WARPS = 64, 4
TILE_OF_BATCH, WARPS_OF_BATCH = 128, 8


class Shape(NamedTuple):
    """What the kernels are compiled for.

    A block's weights stand in one piece: of the first layer, (units, columns) and its bias; of
    each further hidden layer, (units, units) and its bias; of the last, (parts, units, raw) and
    (parts, raw); with batch norm, gains and offsets of (columns,) each.

    Attributes
    ----------
    features, conditions, blocks, layers : int
    columns : int
        Features and conditions of a star, padded.
    units : int
        Of a hidden layer, padded: the same in all.
    parts, raw : int
        Of the last layer. An affine map has two parts, shifts and scales, a column for each
        feature; a spline has a part for each feature, a column for each raw parameter.
    stride : int
        Weights of a block.
    norm, affine : bool
        Whether there is a batch norm, and an affine map.
    bins : int
        Of the splines; 0 without.
    bound, min_width, min_height, free_width, free_height, min_slope, raw_shift : float
        Of the splines: half the side of the box, the least shares of it that a bin has and what
        they leave of it, the least slope, and what is added to a raw slope.
    tile : int
        Stars of a tile.
    """

    features: int
    conditions: int
    blocks: int
    layers: int
    columns: int
    units: int
    parts: int
    raw: int
    stride: int
    norm: bool
    affine: bool
    bins: int
    bound: float
    min_width: float
    min_height: float
    free_width: float
    free_height: float
    min_slope: float
    raw_shift: float
    tile: int

    @property
    def warps(self) -> int:
        """Of a program."""
        return WARPS_OF_BATCH if self.norm else WARPS


def too_large(architecture: Architecture) -> str:
    """What of a flow does not fit into the kernels; empty where all does."""
    if max(architecture.hidden) > MOST_UNITS or len(architecture.hidden) > MOST_LAYERS:
        return f"more than {MOST_LAYERS} hidden layers or {MOST_UNITS} units in one"
    if network_of(architecture).outputs > MOST_RAW:
        return f"more than {MOST_RAW} raw parameters of a feature"
    return ""


@cache
def shape_of(architecture: Architecture) -> Shape:
    """The sizes of a flow that `too_large` does not refuse."""
    a, spline = architecture, architecture.spline
    columns = _padded(a.features + a.conditions)
    units = _padded(max(a.hidden))
    parts, raw = (
        (a.features, _padded(network_of(a).outputs)) if spline is not None else (2, columns)
    )
    hidden = (len(a.hidden) - 1) * (units + 1) * units
    stride = units * (columns + 1) + hidden + parts * (units + 1) * raw
    curve = spline or RationalQuadratic()  # where there is no bin, nobody asks for the rest
    return Shape(
        features=a.features,
        conditions=a.conditions,
        blocks=a.blocks,
        layers=len(a.hidden),
        columns=columns,
        units=units,
        parts=parts,
        raw=raw,
        stride=stride + 2 * columns * a.batch_norm,
        norm=a.batch_norm,
        affine=spline is None or a.affine_first,
        bins=spline.bins if spline is not None else 0,
        bound=float(curve.bound),
        min_width=curve.min_width,
        min_height=curve.min_height,
        free_width=1 - curve.bins * curve.min_width,
        free_height=1 - curve.bins * curve.min_height,
        min_slope=curve.min_slope,
        # A raw slope of 0, which both ends of the spline have, is a slope of 1.
        raw_shift=log(expm1(1 - curve.min_slope)),
        tile=TILE_OF_BATCH if a.batch_norm else TILE,
    )


@cache
def layout_of(architecture: Architecture) -> Tensor:
    """For each place of a row of weights in the kernels, that in a `FlowStack`'s; -1: padding.

    Features keep their columns from block to block: what stands between blocks is in the order
    of the columns and rows of their matrices.
    """
    shape, start = shape_of(architecture), 0
    blocks: list[Index] = []
    for transform, order in zip(architecture.transforms(), _orders(architecture), strict=True):
        places: dict[str, Index] = {}
        for name, size in transform.shapes().items():
            places[name] = np.arange(start, start + prod(size)).reshape(size)
            start += prod(size)
        if "weight0" in places:
            blocks += _network(places, shape, order)
        else:
            blocks += [_spread(places[name], order, shape.columns) for name in places]
    return torch.from_numpy(np.concatenate([part.ravel() for part in blocks]))


@cache
def moments_of(architecture: Architecture) -> Tensor:
    """For each running statistic in a `FlowStack`'s row, its place in (blocks, 2, columns)."""
    columns = shape_of(architecture).columns
    orders = [
        order
        for transform, order in zip(architecture.transforms(), _orders(architecture), strict=True)
        if transform.statistics()
    ]
    starts = columns * np.arange(2 * len(orders)).reshape(-1, 2)
    places = [start + order for pair, order in zip(starts, orders, strict=True) for start in pair]
    return torch.from_numpy(np.concatenate([np.empty(0, np.int64), *places]))


@cache
def last_columns(architecture: Architecture) -> Tensor:
    """The column of each feature of z."""
    return torch.from_numpy(_orders(architecture)[-1])


def _orders(architecture: Architecture) -> list[Index]:
    """For each transform, the columns of the features that it hands on."""
    orders = [np.arange(architecture.features)]
    for transform in architecture.transforms():
        order = orders[-1]
        if isinstance(transform, Reversal):
            order = order[::-1]
        elif isinstance(transform, Permutation):
            order = order[list(transform.order)]
        orders.append(np.ascontiguousarray(order))
    return orders[1:]


def _network(places: dict[str, Index], shape: Shape, order: Index) -> list[Index]:
    columns, units, last = shape.columns, shape.units, shape.layers
    inputs = np.concatenate([order, np.arange(len(order), places["weight0"].shape[1])])
    first = _spread(places["weight0"], inputs, columns)
    parts = [_rows(first, units), _rows(places["bias0"], units)]
    for layer in range(1, last):
        weight = places[f"weight{layer}"]
        square = _spread(weight, np.arange(weight.shape[1]), units)
        parts += [_rows(square, units), _rows(places[f"bias{layer}"], units)]
    weight, bias = places[f"weight{last}"], places[f"bias{last}"]
    # From (raw parameter, feature, unit).
    weight = weight.reshape(-1, len(order), weight.shape[1])
    bias = bias.reshape(-1, len(order))
    if shape.bins:
        swapped = weight[:, np.argsort(order)].transpose(1, 2, 0), bias[:, np.argsort(order)].T
        weight, bias = (_spread(one, np.arange(one.shape[-1]), shape.raw) for one in swapped)
    else:
        weight, bias = (_spread(one, order, columns) for one in (weight.swapaxes(1, 2), bias))
    padded = np.full((shape.parts, units, shape.raw), -1)
    padded[:, : weight.shape[1]] = weight
    return [*parts, padded, bias]


def _spread(places: Index, columns: Index, width: int) -> Index:
    """The last axis given other columns, of `width` in all."""
    spread = np.full((*places.shape[:-1], width), -1)
    spread[..., columns] = places
    return spread


def _rows(places: Index, count: int) -> Index:
    padding = [(0, count - len(places))] + [(0, 0)] * (places.ndim - 1)
    return np.pad(places, padding, constant_values=-1)


def _padded(count: int) -> int:
    """The next power of two, and no less than `LEAST`."""
    return max(LEAST, 1 << (count - 1).bit_length())
