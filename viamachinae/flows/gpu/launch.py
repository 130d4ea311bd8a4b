"""Launching the kernels: weights to their layout, scratch, grids."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from viamachinae.flows.architecture import Architecture
from viamachinae.flows.gpu.shape import Shape, last_columns, layout_of, moments_of, shape_of
from viamachinae.flows.layout import pack

# Programs that share the batch of a flow at most, each with a gradient of its own in memory.
MOST_GROUPS = 8


class Places(NamedTuple):
    """Indices on a device.

    Attributes
    ----------
    weights : Tensor of shape (blocks * stride,)
        As `layout_of` has it.
    back : Tensor of shape (P,)
        The place in the kernels' row of each weight of a `FlowStack`.
    moments : Tensor of shape (S,)
        As `moments_of` has it.
    last : Tensor of shape (d,)
        As `last_columns` has it.
    """

    weights: Tensor
    back: Tensor
    moments: Tensor
    last: Tensor


@cache
def places_of(architecture: Architecture, device: torch.device) -> Places:
    """The indices of a flow's numbers, copied to a device once."""
    layout = layout_of(architecture)
    used = (layout >= 0).nonzero()[:, 0]
    back = used[torch.argsort(layout[used])]
    parts = layout, back, moments_of(architecture), last_columns(architecture)
    return Places(*(part.to(device) for part in parts))


def map_to_latent(
    architecture: Architecture, weights: Tensor, statistics: Tensor, stars: Tensor
) -> tuple[Tensor, Tensor]:
    """Data to latent space.

    Parameters
    ----------
    architecture : Architecture
    weights : Tensor of shape (K, P)
        Masked.
    statistics : Tensor of shape (K, S)
    stars : Tensor of shape (K, N, d + m)

    Returns
    -------
    z : Tensor of shape (K, N, d)
    log_det : Tensor of shape (K, N)
    """
    from viamachinae.flows.gpu.kernels import densities

    shape, places = shape_of(architecture), places_of(architecture, stars.device)
    models, count = stars.shape[:2]
    z = stars.new_empty(models, count, shape.columns)
    log_det = stars.new_empty(models, count)
    moments = stars.new_zeros(models, max(1, shape.blocks * 2 * shape.columns * shape.norm))
    if shape.norm:
        moments.index_copy_(1, places.moments, statistics)
    if count:
        densities[(-(-count // shape.tile), models)](
            pack(weights, places.weights),
            moments,
            stars.contiguous(),
            z,
            log_det,
            count,
            shape,
            num_warps=shape.warps,
            num_stages=1,
        )
    return z.index_select(2, places.last), log_det


class Loss(NamedTuple):
    """What a batch says.

    Attributes
    ----------
    loss : Tensor of shape (K,)
        The mean of -ln p.
    gradient : Tensor of shape (K, P)
        That of `loss`, by masked weights too.
    statistics : Tensor of shape (K, S)
        The batch's own means and variances, where there is a batch norm.
    """

    loss: Tensor
    gradient: Tensor
    statistics: Tensor


def loss_of_batch(architecture: Architecture, weights: Tensor, stars: Tensor, rows: Tensor) -> Loss:
    """Loss and gradient of K flows as in training.

    Parameters
    ----------
    architecture : Architecture
    weights : Tensor of shape (K, P)
        Masked.
    stars : Tensor of shape (N, d + m)
    rows : Tensor of shape (K, batch), int64
        Row numbers of each flow's stars.
    """
    from viamachinae.flows.gpu.kernels import loss_and_gradient

    shape, places = shape_of(architecture), places_of(architecture, stars.device)
    models, batch = rows.shape
    groups, tiles = tiling(shape, batch)
    room = groups * tiles * shape.tile
    loss = stars.new_empty(models, groups)
    gradient = stars.new_empty(models, groups, len(places.weights))
    moments = stars.new_empty(models, shape.blocks * 2 * shape.columns if shape.norm else 1)
    loss_and_gradient[(groups, models)](
        pack(weights, places.weights),
        moments,
        stars,
        rows.contiguous(),
        stars.new_empty(models, shape.blocks + 1, room, shape.columns),
        stars.new_empty(models, room, shape.columns),
        loss,
        gradient,
        batch,
        room,
        tiles,
        shape,
        num_warps=shape.warps,
        num_stages=1,
    )
    by_weights = gradient.sum(dim=1).index_select(1, places.back)
    return Loss(loss.sum(dim=1), by_weights, moments.index_select(1, places.moments))


def tiling(shape: Shape, batch: int) -> tuple[int, int]:
    """Programs that share a flow's batch, and the tiles of each; batch norm has but one."""
    tiles = -(-batch // shape.tile)
    each = tiles if shape.norm else -(-tiles // MOST_GROUPS)
    return -(-tiles // each), each
