"""The affine map of univariate.py: z = (x - shift) exp(-s), s = a / (1 + abs(a) / bound)."""

from __future__ import annotations

import triton
import triton.language as tl

from viamachinae.flows import univariate

BOUND: tl.constexpr = tl.constexpr(univariate.LOG_SCALE_BOUND)


@triton.jit
def log_scale(raw: tl.tensor) -> tl.tensor:
    """The bounded s."""
    return raw / (1 + tl.abs(raw) / BOUND)


@triton.jit
def affine(shift: tl.tensor, raw: tl.tensor, x: tl.tensor) -> tl.tuple:
    """z, and ln(dz/dx)."""
    scale = log_scale(raw)
    return (x - shift) * tl.exp(-scale), -scale


@triton.jit
def affine_backward(
    shift: tl.tensor, raw: tl.tensor, x: tl.tensor, by_z: tl.tensor, share: tl.tensor
) -> tl.tuple:
    """The gradients of f(z) - share * ln(dz/dx) by shift, a and x, from that of f by z."""
    moved = by_z * tl.exp(-log_scale(raw))
    bend = 1 / (1 + tl.abs(raw) / BOUND)
    return -moved, (share - moved * (x - shift)) * bend * bend, moved
