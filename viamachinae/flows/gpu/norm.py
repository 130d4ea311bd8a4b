"""The batch norm between blocks, as transforms.py has it.

A block leaves its features unstandardised in memory; who loads them standardises them.
"""

from __future__ import annotations

import triton
import triton.language as tl

from viamachinae.flows import transforms

EPSILON: tl.constexpr = tl.constexpr(transforms.BATCH_NORM_EPSILON)


@triton.jit
def normaliser(
    weights: tl.tensor, moments: tl.tensor, b: tl.tensor, shape: tl.constexpr
) -> tl.tuple:
    """Mean, standard deviation, gain and offset before block b, for each column.

    Before the first block there is no batch norm, and conditions pass it by: 0, 1, 0, 0.
    """
    column = tl.arange(0, shape.columns)
    own = (column < shape.features) & (column < b * shape.columns)  # none where b is 0
    learned = weights + b * shape.stride - 2 * shape.columns + column
    gain = tl.load(learned, mask=own, other=0.0)
    offset = tl.load(learned + shape.columns, mask=own, other=0.0)
    found = moments + (b - 1) * 2 * shape.columns + column
    mean = tl.load(found, mask=own, other=0.0)
    var = tl.load(found + shape.columns, mask=own, other=0.0)
    return mean, tl.where(own, tl.sqrt_rn(var + EPSILON), 1.0), gain, offset


@triton.jit
def normalised(x: tl.tensor, norm: tl.tuple) -> tl.tensor:
    """A tile through a normaliser."""
    return standardised(x, norm) * tl.exp(norm[2])[None, :] + norm[3][None, :]


@triton.jit
def standardised(x: tl.tensor, norm: tl.tuple) -> tl.tensor:
    """A tile less the mean, in standard deviations."""
    return (x - norm[0][None, :]) / norm[1][None, :]


@triton.jit
def log_slope(norm: tl.tuple) -> tl.tensor:
    """Sum over features of ln(dz/dx), the same for all stars."""
    return tl.sum(norm[2] - tl.log(norm[1]), 0)
