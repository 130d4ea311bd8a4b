"""The masked network of a block, on a tile of stars, as networks.py has it.

Activations have the shape (stars, units). Weights are masked already: what is masked, and what
pads a layer to its size, is zero.
"""

from __future__ import annotations

import triton
import triton.language as tl

# Three products in tf32, which together keep nearly all digits of single precision.
PRECISION: tl.constexpr = tl.constexpr("tf32x3")


@triton.jit
def product(a: tl.tensor, b: tl.tensor) -> tl.tensor:
    """The matrix product."""
    return tl.dot(a, b, input_precision=PRECISION)


@triton.jit
def matrix(start: tl.tensor, rows: tl.constexpr, columns: tl.constexpr) -> tl.tensor:
    """Pointers to a matrix that stands in memory row by row."""
    return start + tl.arange(0, rows)[:, None] * columns + tl.arange(0, columns)[None, :]


@triton.jit
def rectified(
    weights: tl.tensor, below: tl.tensor, units: tl.constexpr, inputs: tl.constexpr
) -> tl.tensor:
    """The units of a hidden layer above `inputs` others; NaN stays NaN."""
    bias = tl.load(weights + units * inputs + tl.arange(0, units))
    above = product(below, tl.trans(tl.load(matrix(weights, units, inputs)))) + bias[None, :]
    return tl.where(above < 0, 0.0, above)


@triton.jit
def hidden(weights: tl.tensor, x: tl.tensor, shape: tl.constexpr) -> tl.tuple:
    """The units of all hidden layers above the inputs x (stars, columns)."""
    layers: tl.constexpr = shape.layers
    units = (rectified(weights, x, shape.units, shape.columns),)
    weights += shape.units * (shape.columns + 1)
    for layer in tl.static_range(1, layers):
        above = rectified(weights, units[layer - 1], shape.units, shape.units)
        # Triton knows no unpacking.
        units = units + (above,)  # type: ignore[assignment]  # noqa: RUF005
        weights += shape.units * (shape.units + 1)
    return units


@triton.jit
def last_layer(shape: tl.constexpr) -> tl.constexpr:
    """Where in a block's weights the last layer begins."""
    return shape.units * (shape.columns + 1) + (shape.layers - 1) * shape.units * (shape.units + 1)


@triton.jit
def raw(weights: tl.tensor, units: tl.tensor, part: tl.tensor, shape: tl.constexpr) -> tl.tensor:
    """A part (stars, raw) of the outputs above the last hidden layer."""
    start = weights + last_layer(shape)
    matrices = start + part * shape.units * shape.raw
    biases = start + shape.parts * shape.units * shape.raw + part * shape.raw
    bias = tl.load(biases + tl.arange(0, shape.raw))
    return product(units, tl.load(matrix(matrices, shape.units, shape.raw))) + bias[None, :]


@triton.jit
def add(place: tl.tensor, value: tl.tensor, again: tl.tensor) -> None:
    """Add to what stands in memory or, not `again`, begin with it."""
    tl.store(place, value + tl.load(place, mask=again, other=0.0))


@triton.jit
def raw_backward(
    weights: tl.tensor,
    gradient: tl.tensor,
    units: tl.tensor,
    by_raw: tl.tensor,
    part: tl.tensor,
    again: tl.tensor,
    shape: tl.constexpr,
) -> tl.tensor:
    """From the gradient by a part of the outputs: those of its weights, added; that by units."""
    offset = last_layer(shape) + part * shape.units * shape.raw
    bias = last_layer(shape) + shape.parts * shape.units * shape.raw + part * shape.raw
    add(
        matrix(gradient + offset, shape.units, shape.raw),
        product(tl.trans(units), by_raw),
        again,
    )
    add(gradient + bias + tl.arange(0, shape.raw), tl.sum(by_raw, 0), again)
    return product(by_raw, tl.trans(tl.load(matrix(weights + offset, shape.units, shape.raw))))


@triton.jit
def rectified_backward(
    weights: tl.tensor,
    gradient: tl.tensor,
    below: tl.tensor,
    above: tl.tensor,
    by_above: tl.tensor,
    again: tl.tensor,
    units: tl.constexpr,
    inputs: tl.constexpr,
) -> tl.tensor:
    """From the gradient by a hidden layer's units: those of its weights, added; that below."""
    by_sum = tl.where(above > 0, by_above, 0.0)
    add(matrix(gradient, units, inputs), product(tl.trans(by_sum), below), again)
    add(gradient + units * inputs + tl.arange(0, units), tl.sum(by_sum, 0), again)
    return product(by_sum, tl.load(matrix(weights, units, inputs)))


@triton.jit
def hidden_backward(
    weights: tl.tensor,
    gradient: tl.tensor,
    x: tl.tensor,
    units: tl.tuple,
    by_units: tl.tensor,
    again: tl.tensor,
    shape: tl.constexpr,
) -> tl.tensor:
    """From the gradient by the last hidden layer: those of the weights, added; that by x."""
    layers: tl.constexpr = shape.layers
    first: tl.constexpr = shape.units * (shape.columns + 1)
    for step in tl.static_range(1, layers):
        layer: tl.constexpr = layers - step
        offset = first + (layer - 1) * shape.units * (shape.units + 1)
        by_units = rectified_backward(
            weights + offset,
            gradient + offset,
            units[layer - 1],
            units[layer],
            by_units,
            again,
            shape.units,
            shape.units,
        )
    return rectified_backward(
        weights, gradient, x, units[0], by_units, again, shape.units, shape.columns
    )
