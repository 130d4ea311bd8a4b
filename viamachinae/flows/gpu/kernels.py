"""The kernels: densities of given stars, and loss and gradient of a batch.

A program has stars of one flow, a tile at a time; the stack index is the second of the grid.
Training keeps what goes into each block, a few numbers a star, and computes the hidden units
again on the way back. No sum depends on the order in which programs run.
"""

from __future__ import annotations

import triton
import triton.language as tl

from viamachinae.flows.gpu.affine import affine, affine_backward
from viamachinae.flows.gpu.network import (
    hidden,
    hidden_backward,
    matrix,
    raw,
    raw_backward,
)
from viamachinae.flows.gpu.norm import log_slope, normalised, normaliser, standardised
from viamachinae.flows.gpu.spline import picked, spline, spline_backward

HALF_LOG_2_PI: tl.constexpr = tl.constexpr(0.918938533204672742)


@triton.jit
def densities(
    weights: tl.tensor,
    moments: tl.tensor,
    stars: tl.tensor,
    z: tl.tensor,
    log_det: tl.tensor,
    count: tl.tensor,
    shape: tl.constexpr,
) -> None:
    """Of stars (K, count, features + conditions): z (K, count, columns) and ln abs(dz/dx)."""
    flow = tl.program_id(1).to(tl.int64)
    weights += flow * shape.blocks * shape.stride
    moments += flow * shape.blocks * 2 * shape.columns
    star = tl.program_id(0) * shape.tile + tl.arange(0, shape.tile)
    there = star < count
    column = tl.arange(0, shape.columns)[None, :]
    width: tl.constexpr = shape.features + shape.conditions
    x = tl.load(
        stars + (flow * count + star[:, None]) * width + column,
        mask=there[:, None] & (column < width),
        other=0.0,
    )
    tile: tl.constexpr = shape.tile
    change = tl.zeros((tile,), tl.float32)
    for b in range(shape.blocks):
        if shape.norm:
            norm = normaliser(weights, moments, b, shape)
            x = normalised(x, norm)
            change += log_slope(norm)
        own = weights + b * shape.stride
        x, more = through(own, x, hidden(own, x, shape), shape)
        change += more
    if shape.norm:
        norm = normaliser(weights, moments, shape.blocks, shape)
        x = normalised(x, norm)
        change += log_slope(norm)
    place = flow * count + star
    tl.store(z + place[:, None] * shape.columns + column, x, mask=there[:, None])
    tl.store(log_det + place, change, mask=there)


@triton.jit
def loss_and_gradient(
    weights: tl.tensor,
    moments: tl.tensor,
    stars: tl.tensor,
    rows: tl.tensor,
    kept: tl.tensor,
    delta: tl.tensor,
    loss: tl.tensor,
    gradient: tl.tensor,
    batch: tl.tensor,
    room: tl.tensor,
    tiles: tl.tensor,
    shape: tl.constexpr,
) -> None:
    """Parts of the mean of -ln p over each flow's batch, and of its gradient.

    As in training: batch norm uses the batch, whose mean and variance it leaves in `moments`.

    Parameters
    ----------
    weights : (K, blocks * stride)
    moments : (K, blocks, 2, columns)
    stars : (N, features + conditions)
    rows : (K, batch), int64
        Row numbers of the stars in each flow's batch.
    kept : (K, blocks + 1, room, columns)
        Scratch: what goes into each block, before its batch norm.
    delta : (K, room, columns)
        Scratch: the gradient by that.
    loss : (K, groups)
        Out: to be summed over the second axis.
    gradient : (K, groups, blocks * stride)
        Out: likewise.
    batch, room, tiles : int
        Stars of a flow; those for which there is room, with all tiles full; tiles of a program.
    """
    flow, group = tl.program_id(1).to(tl.int64), tl.program_id(0)
    weights += flow * shape.blocks * shape.stride
    moments += flow * shape.blocks * 2 * shape.columns
    kept += flow * (shape.blocks + 1) * room * shape.columns
    delta += flow * room * shape.columns
    part = flow * tl.num_programs(0) + group
    first = group * tiles * shape.tile
    gather(stars, rows + flow * batch, kept, batch, first, tiles, shape)
    total = forward(weights, moments, kept, delta, batch, room, first, tiles, shape)
    tl.store(loss + part, total)
    backward(
        weights,
        moments,
        kept,
        delta,
        gradient + part * shape.blocks * shape.stride,
        batch,
        room,
        first,
        tiles,
        shape,
    )


@triton.jit
def gather(
    stars: tl.tensor,
    rows: tl.tensor,
    kept: tl.tensor,
    batch: tl.tensor,
    first: tl.tensor,
    tiles: tl.tensor,
    shape: tl.constexpr,
) -> None:
    """The stars of a batch; zeros where its last tile has none."""
    column = tl.arange(0, shape.columns)[None, :]
    width: tl.constexpr = shape.features + shape.conditions
    for number in range(tiles):
        start = first + number * shape.tile
        star = start + tl.arange(0, shape.tile)
        row = tl.load(rows + star, mask=star < batch, other=0)
        there = (star < batch)[:, None] & (column < width)
        x = tl.load(stars + row[:, None] * width + column, mask=there, other=0.0)
        tl.store(matrix(kept + start * shape.columns, shape.tile, shape.columns), x)
    tl.debug_barrier()


@triton.jit
def forward(
    weights: tl.tensor,
    moments: tl.tensor,
    kept: tl.tensor,
    delta: tl.tensor,
    batch: tl.tensor,
    room: tl.tensor,
    first: tl.tensor,
    tiles: tl.tensor,
    shape: tl.constexpr,
) -> tl.tensor:
    """All blocks; leaves the gradient by z in `delta`, and returns the loss."""
    tile: tl.constexpr = shape.tile
    total = tl.zeros((tile,), tl.float32)
    share = 1.0 / batch
    for b in range(shape.blocks):
        own = weights + b * shape.stride
        if shape.norm:
            norm = normaliser(weights, moments, b, shape)
        for number in range(tiles):
            start = first + number * shape.tile
            x = tl.load(inputs(kept, b, start, room, shape))
            if shape.norm:
                x = normalised(x, norm)
            x, change = through(own, x, hidden(own, x, shape), shape)
            tl.store(inputs(kept, b + 1, start, room, shape), x)
            there = start + tl.arange(0, shape.tile) < batch
            total -= tl.where(there, change * share, 0.0)
        tl.debug_barrier()
        if shape.norm:
            moments_of_batch(kept, moments, b, batch, room, tiles, shape)
            norm = normaliser(weights, moments, b + 1, shape)
            # Of a program that has all stars.
            total -= log_slope(norm) / shape.tile
    column = tl.arange(0, shape.columns)[None, :]
    if shape.norm:
        norm = normaliser(weights, moments, shape.blocks, shape)
    for number in range(tiles):
        start = first + number * shape.tile
        z = tl.load(inputs(kept, shape.blocks, start, room, shape))
        if shape.norm:
            z = normalised(z, norm)
        there = start + tl.arange(0, shape.tile) < batch
        z = tl.where(there[:, None] & (column < shape.features), z, 0.0)
        energy = 0.5 * tl.sum(z * z, 1) + shape.features * HALF_LOG_2_PI
        total += tl.where(there, energy * share, 0.0)
        tl.store(matrix(delta + start * shape.columns, shape.tile, shape.columns), z * share)
    tl.debug_barrier()
    return tl.sum(total, 0)


@triton.jit
def backward(
    weights: tl.tensor,
    moments: tl.tensor,
    kept: tl.tensor,
    delta: tl.tensor,
    gradient: tl.tensor,
    batch: tl.tensor,
    room: tl.tensor,
    first: tl.tensor,
    tiles: tl.tensor,
    shape: tl.constexpr,
) -> None:
    """From the gradient by z in `delta` to that by all weights."""
    for step in range(shape.blocks):
        b = shape.blocks - 1 - step
        own, by_own = weights + b * shape.stride, gradient + b * shape.stride
        if shape.norm:
            norm_backward(weights, moments, kept, delta, by_own, b, batch, room, tiles, shape)
            norm = normaliser(weights, moments, b, shape)
        for number in range(tiles):
            start = first + number * shape.tile
            x = tl.load(inputs(kept, b, start, room, shape))
            if shape.norm:
                x = normalised(x, norm)
            place = matrix(delta + start * shape.columns, shape.tile, shape.columns)
            share = tl.where(start + tl.arange(0, shape.tile) < batch, 1.0 / batch, 0.0)
            units = hidden(own, x, shape)
            by_x, by_units = map_backward(
                own, by_own, x, units, tl.load(place), share, number > 0, shape
            )
            by_x += hidden_backward(own, by_own, x, units, by_units, number > 0, shape)
            tl.store(place, by_x)
            tl.debug_barrier()


@triton.jit
def inputs(
    kept: tl.tensor, b: tl.tensor, start: tl.tensor, room: tl.tensor, shape: tl.constexpr
) -> tl.tensor:
    """Pointers to what goes into block b of a tile."""
    place = (b * room + start).to(tl.int64) * shape.columns
    return matrix(kept + place, shape.tile, shape.columns)


@triton.jit
def through(weights: tl.tensor, x: tl.tensor, units: tl.tuple, shape: tl.constexpr) -> tl.tuple:
    """A tile through the map of a block, and ln abs(dz/dx); conditions stay what they are."""
    highest: tl.constexpr = shape.layers - 1
    top = units[highest]
    column = tl.arange(0, shape.columns)[None, :]
    if shape.bins == 0:
        z, change = affine(raw(weights, top, 0, shape), raw(weights, top, 1, shape), x)
        log_det = tl.sum(tl.where(column < shape.features, change, 0.0), 1)
    else:
        tile: tl.constexpr = shape.tile
        z, log_det = x, tl.zeros((tile,), tl.float32)
        for i in range(shape.features):
            outputs = raw(weights, top, i, shape)
            value = picked(x, column == i)
            if shape.affine:
                shift, scale = part_of(outputs, 0, shape), part_of(outputs, 1, shape)
                value, change = affine(shift, scale, value)
                log_det += change
            value, change = spline(outputs, value, shape)
            log_det += change
            z = tl.where(column == i, value[:, None], z)
    return z, log_det


@triton.jit
def map_backward(
    weights: tl.tensor,
    gradient: tl.tensor,
    x: tl.tensor,
    units: tl.tuple,
    by_z: tl.tensor,
    share: tl.tensor,
    again: tl.tensor,
    shape: tl.constexpr,
) -> tl.tuple:
    """The gradients by x, the network apart, and by the last hidden layer."""
    highest: tl.constexpr = shape.layers - 1
    top = units[highest]
    if shape.bins == 0:
        shift, scale = raw(weights, top, 0, shape), raw(weights, top, 1, shape)
        by_shift, by_scale, by_x = affine_backward(shift, scale, x, by_z, share[:, None])
        by_units = raw_backward(weights, gradient, top, by_shift, 0, again, shape)
        by_units += raw_backward(weights, gradient, top, by_scale, 1, again, shape)
    else:
        column = tl.arange(0, shape.columns)[None, :]
        by_x, by_units = by_z, tl.zeros_like(top)
        for i in range(shape.features):
            outputs = raw(weights, top, i, shape)
            by_raw, by_value = feature_backward(
                outputs, picked(x, column == i), picked(by_z, column == i), share, shape
            )
            by_units += raw_backward(weights, gradient, top, by_raw, i, again, shape)
            by_x = tl.where(column == i, by_value[:, None], by_x)
    return by_x, by_units


@triton.jit
def feature_backward(
    outputs: tl.tensor, x: tl.tensor, by_z: tl.tensor, share: tl.tensor, shape: tl.constexpr
) -> tl.tuple:
    """The gradients by a feature's raw parameters and by the feature, where it has a spline."""
    if shape.affine:
        shift, scale = part_of(outputs, 0, shape), part_of(outputs, 1, shape)
        between, _ = affine(shift, scale, x)
        by_raw, by_between = spline_backward(outputs, between, by_z, share, shape)
        by_shift, by_scale, by_x = affine_backward(shift, scale, x, by_between, share)
        number = tl.arange(0, shape.raw)[None, :]
        by_raw = tl.where(number == 0, by_shift[:, None], by_raw)
        by_raw = tl.where(number == 1, by_scale[:, None], by_raw)
    else:
        by_raw, by_x = spline_backward(outputs, x, by_z, share, shape)
    return by_raw, by_x


@triton.jit
def part_of(outputs: tl.tensor, number: tl.constexpr, shape: tl.constexpr) -> tl.tensor:
    """One raw parameter of a feature."""
    return picked(outputs, tl.arange(0, shape.raw)[None, :] == number)


@triton.jit
def moments_of_batch(
    kept: tl.tensor,
    moments: tl.tensor,
    b: tl.tensor,
    batch: tl.tensor,
    room: tl.tensor,
    tiles: tl.tensor,
    shape: tl.constexpr,
) -> None:
    """Mean and variance of what block b has made of a batch, into memory."""
    columns: tl.constexpr = shape.columns
    total = tl.zeros((columns,), tl.float32)
    for number in range(tiles):
        start = number * shape.tile
        x = tl.load(inputs(kept, b + 1, start, room, shape))
        there = (start + tl.arange(0, shape.tile) < batch)[:, None]
        total += tl.sum(tl.where(there, x, 0.0), 0)
    mean = total / batch
    squares = tl.zeros((columns,), tl.float32)
    for number in range(tiles):
        start = number * shape.tile
        x = tl.load(inputs(kept, b + 1, start, room, shape)) - mean[None, :]
        there = (start + tl.arange(0, shape.tile) < batch)[:, None]
        squares += tl.sum(tl.where(there, x * x, 0.0), 0)
    place = moments + b * 2 * shape.columns + tl.arange(0, shape.columns)
    tl.store(place, mean)
    tl.store(place + shape.columns, squares / batch)
    tl.debug_barrier()


@triton.jit
def norm_backward(
    weights: tl.tensor,
    moments: tl.tensor,
    kept: tl.tensor,
    delta: tl.tensor,
    gradient: tl.tensor,
    b: tl.tensor,
    batch: tl.tensor,
    room: tl.tensor,
    tiles: tl.tensor,
    shape: tl.constexpr,
) -> None:
    """The gradient behind the batch norm after block b to that before it, in `delta`.

    With y the standardised feature and a = dL/dy: dL/dx = (a - mean(a) - y mean(a y) + y / batch)
    / deviation, where the last term comes from ln(deviation) in the loss.
    """
    norm = normaliser(weights, moments, b + 1, shape)
    columns: tl.constexpr = shape.columns
    total, product = tl.zeros((columns,), tl.float32), tl.zeros((columns,), tl.float32)
    for number in range(tiles):
        start = number * shape.tile
        y = standardised(tl.load(inputs(kept, b + 1, start, room, shape)), norm)
        a = tl.load(matrix(delta + start * shape.columns, shape.tile, shape.columns))
        total += tl.sum(a, 0)
        product += tl.sum(a * y, 0)
    slope = tl.exp(norm[2])
    column = tl.arange(0, shape.columns)
    learned = gradient + shape.stride - 2 * shape.columns + column
    tl.store(learned, product * slope - 1)
    tl.store(learned + shape.columns, total)
    own = column < shape.features
    by_y = tl.where(own, (1 - product * slope) / batch, 0.0)[None, :]
    constant = tl.where(own, total * slope / batch, 0.0)[None, :]
    for number in range(tiles):
        start = number * shape.tile
        y = standardised(tl.load(inputs(kept, b + 1, start, room, shape)), norm)
        place = matrix(delta + start * shape.columns, shape.tile, shape.columns)
        a = tl.load(place) * slope[None, :]
        there = (start + tl.arange(0, shape.tile) < batch)[:, None]
        tl.store(place, tl.where(there, (a - constant + y * by_y) / norm[1][None, :], 0.0))
    tl.debug_barrier()
