"""Masked multi-layer perceptrons of many models at once.

Inside the flows, stars are the last axis: activations have shape (K, units, N) for K models
and N stars each. Every elementwise operation then runs along contiguous stars; this trains
about 1.3 times faster on a CPU than (K, N, units).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Parameters = Mapping[str, Tensor]
Shape = tuple[int, ...]

# The last layer starts small, so that a fresh flow is close to the identity. Ours.
LAST_LAYER_GAIN = 0.1


@dataclass(frozen=True)
class MaskedMLP:
    """A network whose outputs for feature i see the conditions and the features before i.

    This is MADE (Germain et al. 2015, arXiv:1502.03509) in the natural order of the features:
    each unit has a degree, the position of the last feature that it sees, and layers connect
    only from lower or equal to higher degrees. It holds no weights; they are passed in.

    Attributes
    ----------
    features, conditions : int
        Numbers of features (d) and conditions (m).
    hidden : tuple of int
        Units of the hidden layers.
    outputs : int
        Outputs for each feature; output j of feature i is row ``j * d + i``.
    """

    features: int
    conditions: int
    hidden: tuple[int, ...]
    outputs: int

    def masks(self) -> dict[str, NDArray[np.bool_]]:
        """Masks of the weights, each of shape (units out, units in), by parameter name."""
        degrees = self.degrees()
        masks = {
            f"weight{layer}": degrees[layer + 1][:, None] >= degrees[layer][None, :]
            for layer in range(len(self.hidden))
        }
        last = np.tile(np.arange(1, self.features + 1), self.outputs)
        masks[f"weight{len(self.hidden)}"] = last[:, None] > degrees[-1][None, :]
        return masks

    def degrees(self) -> list[NDArray[np.int64]]:
        """Degrees of the inputs, then those of each hidden layer's units, never falling."""
        return [self._input_degrees(), *map(self._hidden_degrees, self.hidden)]

    def shapes(self) -> dict[str, Shape]:
        """Shapes of one model's parameters, by name."""
        return _shapes(self.masks())

    def draw(self, generator: np.random.Generator) -> dict[str, NDArray[np.float64]]:
        """Initial parameters of one model: uniform within 1 / sqrt(connected inputs)."""
        return _draw(self.masks(), generator)

    def apply(self, parameters: Parameters, x: Tensor, condition: Tensor) -> Tensor:
        """Outputs of shape (K, outputs * d, N) for `x` (K, d, N) and `condition` (K, m, N).

        The weights in `parameters` (K, units out, units in) must be masked already.
        """
        return _apply(parameters, torch.cat([x, condition], dim=1), len(self.hidden))

    def _input_degrees(self) -> NDArray[np.int64]:
        return np.concatenate(
            [np.arange(1, self.features + 1), np.zeros(self.conditions, dtype=np.int64)]
        )

    def _hidden_degrees(self, units: int) -> NDArray[np.int64]:
        """Degrees spread evenly over the units, sorted; 0 sees conditions alone."""
        lowest = 0 if self.conditions else 1
        return lowest + np.arange(units) * (self.features - lowest) // units


@dataclass(frozen=True)
class MLP:
    """A network whose outputs see all its inputs. It holds no weights; they are passed in.

    Attributes
    ----------
    inputs : int
        1 or more.
    hidden : tuple of int
        Units of the hidden layers.
    outputs : int
    """

    inputs: int
    hidden: tuple[int, ...]
    outputs: int

    def shapes(self) -> dict[str, Shape]:
        """Shapes of one model's parameters, by name."""
        return _shapes(self._connections())

    def draw(self, generator: np.random.Generator) -> dict[str, NDArray[np.float64]]:
        """Initial parameters of one model: uniform within 1 / sqrt(inputs of the layer)."""
        return _draw(self._connections(), generator)

    def apply(self, parameters: Parameters, inputs: Tensor) -> Tensor:
        """Outputs of shape (K, outputs, N) for inputs of shape (K, inputs, N)."""
        return _apply(parameters, inputs, len(self.hidden))

    def _connections(self) -> dict[str, NDArray[np.bool_]]:
        units = [self.inputs, *self.hidden, self.outputs]
        return {
            f"weight{layer}": np.ones((units[layer + 1], units[layer]), dtype=np.bool_)
            for layer in range(len(units) - 1)
        }


def _shapes(masks: Mapping[str, NDArray[np.bool_]]) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for name, mask in masks.items():
        shapes[name] = mask.shape
        shapes[name.replace("weight", "bias")] = mask.shape[:1]
    return shapes


def _draw(
    masks: Mapping[str, NDArray[np.bool_]], generator: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    drawn: dict[str, NDArray[np.float64]] = {}
    for layer, (name, mask) in enumerate(masks.items()):
        bound = 1 / np.sqrt(np.maximum(mask.sum(axis=1), 1))
        if layer == len(masks) - 1:
            bound *= LAST_LAYER_GAIN
        drawn[name] = mask * generator.uniform(-1, 1, mask.shape) * bound[:, None]
        drawn[name.replace("weight", "bias")] = generator.uniform(-1, 1, len(mask)) * bound
    return drawn


def _apply(parameters: Parameters, units: Tensor, n_hidden: int) -> Tensor:
    for layer in range(n_hidden + 1):
        weight, bias = parameters[f"weight{layer}"], parameters[f"bias{layer}"]
        units = torch.baddbmm(bias.unsqueeze(-1), weight, units)
        if layer < n_hidden:
            units = torch.relu(units)
    return units
