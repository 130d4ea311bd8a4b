"""The rational-quadratic spline of splines.py (Durkan et al. 2019, arXiv:1906.04032).

One feature of a tile at a time. Its raw parameters (stars, raw) stand in columns: with an affine
map before the spline its two, then the widths of the bins, the heights, the slopes at the knots
between them. What belongs to the bin of a star is found by sums over its row.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def softened(raw: tl.tensor, own: tl.tensor) -> tl.tensor:
    """The softmax of a star's own columns; 0 in the others."""
    only = tl.where(own, raw, float("-inf"))
    sizes = tl.exp(only - tl.max(only, 1)[:, None])
    return sizes / tl.sum(sizes, 1)[:, None]


@triton.jit
def softplus(x: tl.tensor) -> tl.tensor:
    """ln(1 + e^x) without loss of digits where that is small (Kahan's way to ln(1 + y))."""
    small = tl.exp(-tl.abs(x))
    above = 1 + small
    tiny = above == 1
    exact = tl.log(above) * small / tl.where(tiny, 1.0, above - 1)
    return tl.where(x < 0, 0.0, x) + tl.where(tiny, small, exact)


@triton.jit
def sigmoid(x: tl.tensor) -> tl.tensor:
    """The derivative of `softplus`."""
    small = tl.exp(-tl.abs(x))
    return tl.where(x < 0, small, 1.0) / (1 + small)


@triton.jit
def picked(values: tl.tensor, wanted: tl.tensor) -> tl.tensor:
    """Sum of the wanted columns."""
    return tl.sum(tl.where(wanted, values, 0.0), 1)


@triton.jit
def numbers(shape: tl.constexpr) -> tl.tuple:
    """For each column, its number among the widths, the heights and the slopes."""
    first: tl.constexpr = 2 if shape.affine else 0
    width = tl.arange(0, shape.raw)[None, :] - first
    return width, width - shape.bins, width - 2 * shape.bins


@triton.jit
def clamped(x: tl.tensor, shape: tl.constexpr) -> tl.tensor:
    """The nearest point of the box; NaN stays NaN."""
    most = tl.where(x > shape.bound, shape.bound, x)
    return tl.where(most < -shape.bound, -shape.bound, most)


@triton.jit
def find(raw: tl.tensor, inside: tl.tensor, shape: tl.constexpr) -> tl.tuple:
    """The bin of each star.

    Its number; the shares, by the softmax, of the bins below and of itself in x and in z; the
    raw slopes at its ends; and both softmaxes.
    """
    width, height, slope = numbers(shape)
    wide = softened(raw, (width >= 0) & (width < shape.bins))
    high = softened(raw, (height >= 0) & (height < shape.bins))
    share = (inside + shape.bound) / (2 * shape.bound)
    passed = share[:, None] - shape.min_width * (width + 1) >= shape.free_width * tl.cumsum(wide, 1)
    knots = passed & (width >= 0) & (width < shape.bins - 1)
    index = tl.sum(knots.to(tl.int32), 1)
    at = index[:, None]
    first = picked(raw, (slope == at - 1) & (slope >= 0)) + shape.raw_shift
    # The column behind the last slope is padding: there a raw slope is 0, as at the end.
    second = picked(raw, slope == at) + shape.raw_shift
    below = picked(wide, width < at), picked(high, height < at)
    own = picked(wide, width == at), picked(high, height == at)
    return index, below, own, (first, second), (wide, high)


@triton.jit
def piece(index: tl.tensor, below: tl.tuple, own: tl.tuple, shape: tl.constexpr) -> tl.tuple:
    """Left, width, bottom and height of a bin."""
    side: tl.constexpr = 2 * shape.bound
    return (
        side * (shape.free_width * below[0] + shape.min_width * index) - shape.bound,
        side * (shape.free_width * own[0] + shape.min_width),
        side * (shape.free_height * below[1] + shape.min_height * index) - shape.bound,
        side * (shape.free_height * own[1] + shape.min_height),
    )


@triton.jit
def spline(raw: tl.tensor, x: tl.tensor, shape: tl.constexpr) -> tl.tuple:
    """z, and ln(dz/dx): arXiv:1906.04032, eqs. 4 and 5."""
    inside = clamped(x, shape)
    index, below, own, slopes, _ = find(raw, inside, shape)
    left, width, bottom, height = piece(index, below, own, shape)
    first = shape.min_slope + softplus(slopes[0])
    second = shape.min_slope + softplus(slopes[1])
    share, mean = (inside - left) / width, height / width
    rest = 1 - share
    bend = share * rest
    bottom_part = mean + (first + second - 2 * mean) * bend
    rise = (mean * share * share + first * bend) / bottom_part
    above = second * share * share + 2 * mean * bend + first * rest * rest
    log_slope = 2 * (tl.log(mean) - tl.log(bottom_part)) + tl.log(above)
    return bottom + height * rise + (x - inside), log_slope


@triton.jit
def spline_backward(
    raw: tl.tensor, x: tl.tensor, by_z: tl.tensor, share_of: tl.tensor, shape: tl.constexpr
) -> tl.tuple:
    """The gradients of f(z) - share_of * ln(dz/dx) by the raw parameters and by x."""
    inside = clamped(x, shape)
    index, below, own, slopes, sizes = find(raw, inside, shape)
    left, width, _, height = piece(index, below, own, shape)
    first = shape.min_slope + softplus(slopes[0])
    second = shape.min_slope + softplus(slopes[1])
    share, mean = (inside - left) / width, height / width
    rest = 1 - share
    bend = share * rest
    excess = first + second - 2 * mean
    over = 1 / (mean + excess * bend)
    rise = (mean * share * share + first * bend) * over
    above = second * share * share + 2 * mean * bend + first * rest * rest
    # By numerator and denominator of the rise, and by the numerator of the slope.
    by_top = by_z * height * over
    by_bottom = -(by_top * rise - 2 * share_of * over)
    by_above = -share_of / above
    by_bend = by_top * first + by_bottom * excess + 2 * by_above * mean
    by_mean = by_top * share * share + by_bottom * (1 - 2 * bend)
    by_mean += 2 * by_above * bend - 2 * share_of / mean
    by_share = 2 * by_top * mean * share + by_bend * (1 - 2 * share)
    by_share += 2 * by_above * (second * share - first * rest)
    by_first = ((by_top + by_bottom) * bend + by_above * rest * rest) * sigmoid(slopes[0])
    by_second = (by_bottom * bend + by_above * share * share) * sigmoid(slopes[1])
    by_inside = by_share / width
    by_width = -(by_inside * share + by_mean * mean / width)
    by_height = by_z * rise + by_mean / width
    by_below, by_own = (-by_inside, by_z), (by_width, by_height)
    by_raw = spread(index, below, own, sizes, by_below, by_own, (by_first, by_second), shape)
    return by_raw, tl.where(x == inside, by_inside, by_z)


@triton.jit
def spread(
    index: tl.tensor,
    below: tl.tuple,
    own: tl.tuple,
    sizes: tl.tuple,
    by_below: tl.tuple,
    by_own: tl.tuple,
    by_slopes: tl.tuple,
    shape: tl.constexpr,
) -> tl.tensor:
    """The gradients by a bin's position, size and slopes to those of all raw parameters."""
    width, height, slope = numbers(shape)
    at = index[:, None]
    side: tl.constexpr = 2 * shape.bound
    wide = by_size(sizes[0], width, at, below[0], own[0], by_below[0], by_own[0])
    high = by_size(sizes[1], height, at, below[1], own[1], by_below[1], by_own[1])
    first = tl.where((slope == at - 1) & (slope >= 0), by_slopes[0][:, None], 0.0)
    second = tl.where(slope == at, by_slopes[1][:, None], 0.0)
    return side * (shape.free_width * wide + shape.free_height * high) + first + second


@triton.jit
def by_size(
    sizes: tl.tensor,
    number: tl.tensor,
    at: tl.tensor,
    below: tl.tensor,
    own: tl.tensor,
    by_below: tl.tensor,
    by_own: tl.tensor,
) -> tl.tensor:
    """The gradient by the raw sizes, through their softmax; 0 in other columns."""
    # What softmax takes off every entry: its outputs times their gradients, summed.
    mean = below * by_below + own * by_own
    lower = tl.where(number < at, by_below[:, None], 0.0)
    here = tl.where(number == at, by_own[:, None], 0.0)
    return sizes * (lower + here - mean[:, None])
