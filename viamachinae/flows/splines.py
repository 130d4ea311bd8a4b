"""Monotonic rational-quadratic splines (Durkan et al. 2019, arXiv:1906.04032).

The curve maps the box [-bound, bound] onto itself; outside it is the identity, and its slope
is continuous there. Bins stand on an axis before the stars, as everything in the flows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import expm1, log
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import softplus

from viamachinae.flows.univariate import Mapped, Univariate


class _Bin(NamedTuple):
    """The bin of each feature: its lower left corner, its size, the slopes at its ends."""

    left: Tensor
    width: Tensor
    bottom: Tensor
    height: Tensor
    slope: Tensor
    next_slope: Tensor


@dataclass(frozen=True)
class RationalQuadratic(Univariate):
    """A spline of rational-quadratic pieces (arXiv:1906.04032, section 3.1).

    Attributes
    ----------
    bins : int
        Number of pieces.
    bound : float
        Half the side of the box.
    min_width, min_height : float
        Smallest size of a bin, as a share of the box.
    min_slope : float
        Smallest derivative at a knot.
    """

    bins: int = 8
    bound: float = 5.0
    min_width: float = 1e-3
    min_height: float = 1e-3
    min_slope: float = 1e-3

    def __post_init__(self) -> None:
        smallest = max(self.min_width, self.min_height)
        if self.bins < 2 or self.bound <= 0:
            raise ValueError(
                f"a spline needs two bins and a positive bound, not {self.bins} bins within "
                f"{self.bound:g}"
            )
        if not (0 <= smallest * self.bins < 1 and 0 < self.min_slope < 1):
            raise ValueError(
                f"{self.bins} bins of at least {smallest:g} of the box each, with slopes of at "
                f"least {self.min_slope:g}, leave a spline no freedom"
            )

    @property
    def parameters(self) -> int:
        """Widths and heights of the bins, and slopes at the knots between them."""
        return 3 * self.bins - 1

    def forward(self, raw: Tensor, x: Tensor, /) -> Mapped:
        """Evaluate the spline (arXiv:1906.04032, eqs. 4 and 5)."""
        inside = x.clamp(-self.bound, self.bound)
        piece = self._piece(raw, inside, inverted=False)
        share = (inside - piece.left) / piece.width
        z = piece.bottom + piece.height * _rise(piece, share)
        return z + (x - inside), _log_slope(piece, share)

    def inverse(self, raw: Tensor, z: Tensor, /) -> Mapped:
        """Solve the quadratic equation of the piece (arXiv:1906.04032, eqs. 6 to 8).

        Gradients are those of the implicit function: one Newton step from the root.
        """
        with torch.no_grad():
            x, log_slope = self._root(raw, z)
        if torch.is_grad_enabled() and (raw.requires_grad or z.requires_grad):
            back, log_slope = self.forward(raw, x)
            x = x + (z - back) * torch.exp(-log_slope).detach()
            _, log_slope = self.forward(raw, x)
        return x, -log_slope

    def outside(self, _raw: Tensor, x: Tensor, /) -> Tensor:
        """Which features lie outside the box."""
        return x.abs() > self.bound

    def _root(self, raw: Tensor, z: Tensor) -> Mapped:
        inside = z.clamp(-self.bound, self.bound)
        piece = self._piece(raw, inside, inverted=True)
        mean = piece.height / piece.width
        rise = (inside - piece.bottom) / piece.height
        bend = rise * (piece.slope + piece.next_slope - 2 * mean)
        a, b, c = mean - piece.slope + bend, piece.slope - bend, -mean * rise
        root = (b.square() - 4 * a * c).clamp_(min=0).sqrt_()
        share = (-2 * c) / (b + root)
        x = piece.left + piece.width * share
        return x + (z - inside), _log_slope(piece, share)

    def _piece(self, raw: Tensor, value: Tensor, *, inverted: bool) -> _Bin:
        """The bins that hold x or, if inverted, z values inside the box."""
        share = (value.detach() + self.bound) / (2 * self.bound)
        least = (self.min_width, self.min_height)
        left, width, bottom, height, slope, next_slope = _select(
            raw, share, self.bins, least, inverted
        )
        side = 2 * self.bound
        # A raw slope of 0, which both ends of the spline have, is a slope of 1.
        shift = log(expm1(1 - self.min_slope))
        return _Bin(
            side * left - self.bound,
            side * width,
            side * bottom - self.bound,
            side * height,
            self.min_slope + softplus(slope + shift),
            self.min_slope + softplus(next_slope + shift),
        )


def _rise(piece: _Bin, share: Tensor) -> Tensor:
    """Height above the bottom of the bin, in units of the bin's, at a share of its width."""
    mean = piece.height / piece.width
    bend = share * (1 - share)
    above = mean * share.square() + piece.slope * bend
    return above / (mean + (piece.slope + piece.next_slope - 2 * mean) * bend)


def _log_slope(piece: _Bin, share: Tensor) -> Tensor:
    """ln(dz/dx) at a share of the width of the bin."""
    mean = piece.height / piece.width
    rest = 1 - share
    bend = share * rest
    above = piece.next_slope * share.square() + 2 * mean * bend + piece.slope * rest.square()
    below = mean + (piece.slope + piece.next_slope - 2 * mean) * bend
    return 2 * (torch.log(mean) - torch.log(below)) + torch.log(above)


class _Select(torch.autograd.Function):
    """Find the bin of each value, and take what belongs to it from the raw parameters.

    All bins are touched here alone, in few passes over memory: the backward pass has a closed
    form that writes the gradient of the raw parameters once, where the graph of softmax,
    cumulative sum and gather would write it many times over.
    """

    @staticmethod
    def forward(
        ctx: Any,
        raw: Tensor,
        share: Tensor,
        bins: int,
        least: tuple[float, float],
        inverted: bool,
    ) -> tuple[Tensor, ...]:
        """Position and size of the bins in x and z, in units of the box, and raw slopes."""
        sizes = [torch.softmax(raw[:, i * bins : (i + 1) * bins], dim=1) for i in (0, 1)]
        sums = [size.cumsum(dim=1) for size in sizes]
        index = _locate(share.unsqueeze(1), sums[inverted], least[inverted])
        own = [size.gather(1, index) for size in sizes]
        below = [total.gather(1, index) - size for total, size in zip(sums, own, strict=True)]
        slopes, inner = raw[:, 2 * bins :], bins - 2
        first = slopes.gather(1, (index - 1).clamp_(min=0)).masked_fill_(index == 0, 0)
        second = slopes.gather(1, index.clamp(max=inner)).masked_fill_(index > inner, 0)
        ctx.save_for_backward(index, *sizes, *below, *own)
        ctx.free = [1 - bins * floor for floor in least]
        taken = [
            part
            for floor, free, low, size in zip(least, ctx.free, below, own, strict=True)
            for part in (torch.add(free * low, index, alpha=floor), free * size + floor)
        ]
        return tuple(part.squeeze(1) for part in (*taken, first, second))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradient of the raw parameters."""
        index, *saved = ctx.saved_tensors
        models, bins, features, stars = saved[0].shape
        out = saved[0].new_empty(models, 3 * bins - 1, features, stars)
        to_place, to_slope = gradients[:4], [g.unsqueeze(1) for g in gradients[4:]]
        # 1 for the bins below that of the value, 0 for others.
        steps = torch.arange(bins, dtype=out.dtype, device=out.device).view(1, -1, 1, 1)
        lower = (index.to(out.dtype) - steps).clamp_(0, 1)
        for i, free in enumerate(ctx.free):
            size, below, own = saved[i::2]
            to_below, to_own = (free * g.unsqueeze(1) for g in to_place[2 * i : 2 * i + 2])
            # What softmax takes off every entry: its outputs times their gradients, summed.
            mean = torch.addcmul(below * to_below, own, to_own)
            block = out[:, i * bins : (i + 1) * bins]
            torch.addcmul(-mean, lower, to_below, out=block)
            block.scatter_(1, index, to_own - mean).mul_(size)
        slopes, inner = out[:, 2 * bins :].zero_(), bins - 2
        first, second = to_slope[0].masked_fill(index == 0, 0), to_slope[1]
        slopes.scatter_(1, (index - 1).clamp_(min=0), first)
        slopes.scatter_add_(1, index.clamp(max=inner), second.masked_fill(index > inner, 0))
        return out, None, None, None, None


def _locate(share: Tensor, sums: Tensor, floor: float) -> Tensor:
    """Number of knots at or below each share of the box: the bin of a value.

    `sums` are cumulative sums of the sizes of the bins before they are raised by the floor.
    """
    bins = sums.shape[1]
    steps = torch.arange(1, bins, dtype=sums.dtype, device=sums.device).view(1, -1, 1, 1)
    passed = share - floor * steps >= (1 - bins * floor) * sums[:, :-1]
    # A sum of bytes runs many times faster than one of truth values.
    return passed.view(torch.uint8).sum(dim=1, keepdim=True, dtype=torch.uint8).long()


_select: Callable[..., tuple[Tensor, ...]] = _Select.apply
