"""Many independent conditional flows of one shape, evaluated as one computation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import log, prod
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from viamachinae.flows.architecture import Architecture
from viamachinae.flows.networks import Parameters, Shape

# Star evaluations at once where a method splits its work: bounds memory.
CHUNK = 65_536


class FlowStack(nn.Module):
    """K independent conditional flows.

    All numbers of a model stand in one row, so that optimisers, snapshots and other engines
    work on two matrices instead of many small tensors.

    Parameters
    ----------
    architecture : Architecture
        The common shape.
    weights : Tensor of shape (K, P)
        Learned parameters.
    statistics : Tensor of shape (K, S)
        Running statistics of batch norm; S may be 0.

    Raises
    ------
    ValueError
        If the tensors do not fit the architecture.
    """

    mask: Tensor
    statistics: Tensor

    def __init__(self, architecture: Architecture, weights: Tensor, statistics: Tensor) -> None:
        super().__init__()
        self.architecture = architecture
        self.transforms = architecture.transforms()
        self.base = architecture.latent()
        self._shapes = [transform.shapes() for transform in self.transforms]
        self._statistic_shapes = [transform.statistics() for transform in self.transforms]
        width, running = _width(self._shapes), _width(self._statistic_shapes)
        if weights.shape[1:] != (width,) or statistics.shape != (len(weights), running):
            raise ValueError(
                f"{architecture} has {width} weights and {running} statistics a model, "
                f"but the tensors given have shapes {tuple(weights.shape)} and "
                f"{tuple(statistics.shape)}"
            )
        self.weights = nn.Parameter(weights)
        self.register_buffer("statistics", statistics)
        self.register_buffer("mask", self._flat_mask().to(weights), persistent=False)

    @classmethod
    def draw(cls, architecture: Architecture, generators: Sequence[np.random.Generator]) -> Self:
        """Untrained float32 flows, each from a generator of its own.

        A model's initial weights thus do not depend on what else is in its stack.
        """
        transforms = architecture.transforms()
        weights, statistics = [], []
        for generator in generators:
            drawn = [transform.draw(generator) for transform in transforms]
            shapes = [transform.shapes() for transform in transforms]
            running = [transform.statistics() for transform in transforms]
            weights.append(_flatten(drawn, shapes))
            statistics.append(_flatten(drawn, running))
        return cls(
            architecture,
            torch.as_tensor(np.stack(weights), dtype=torch.float32),
            torch.as_tensor(np.stack(statistics), dtype=torch.float32),
        )

    @property
    def n_models(self) -> int:
        """K."""
        return len(self.weights)

    def select(self, indices: Sequence[int]) -> FlowStack:
        """A stack of copies of some of the models, in the order given."""
        index = torch.as_tensor(indices, dtype=torch.int64, device=self.weights.device)
        picked = type(self)(self.architecture, self.weights.detach()[index], self.statistics[index])
        return picked.train(self.training)

    @classmethod
    def join(cls, stacks: Sequence[FlowStack]) -> Self:
        """One stack of copies of the models of several, in order; the reverse of `select`.

        Raises
        ------
        ValueError
            If they are not all of one shape.
        """
        shapes = list(dict.fromkeys(stack.architecture for stack in stacks))
        if len(shapes) != 1:
            raise ValueError(f"the flows of a stack have one shape, not {len(shapes)}: {shapes}")
        weights = torch.cat([stack.weights.detach() for stack in stacks])
        statistics = torch.cat([stack.statistics for stack in stacks])
        return cls(shapes[0], weights, statistics).train(stacks[0].training)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to latent space.

        Parameters
        ----------
        x : Tensor of shape (K, N, d)
        condition : Tensor of shape (K, N, m), optional where m is 0

        Returns
        -------
        z : Tensor of shape (K, N, d)
        log_det : Tensor of shape (K, N)
            ln abs(dz/dx).

        Raises
        ------
        ValueError
            If a shape does not fit the stack.
        """
        z, context = self._stars_last(x, condition)
        log_det = z.new_zeros(z.shape[0], z.shape[2])
        for transform, parameters in zip(self.transforms, self._by_transform(), strict=True):
            used = transform.follow(parameters, z) if self.training else parameters
            z, change = transform.forward(used, z, context)
            log_det = log_det + change
        return z.transpose(1, 2), log_det

    def inverse(self, z: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Latent space to data; shapes as in `forward`, with ln abs(dx/dz)."""
        x, context = self._stars_last(z, condition)
        log_det = x.new_zeros(x.shape[0], x.shape[2])
        steps = zip(self.transforms, self._by_transform(), strict=True)
        for transform, parameters in reversed(list(steps)):
            x, change = transform.inverse(parameters, x, context)
            log_det = log_det + change
        return x.transpose(1, 2), log_det

    def log_prob(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Natural logarithm of p(x | condition) of each model at its own points, shape (K, N)."""
        z, log_det = self.forward(x, condition)
        return self.base.log_prob(z) + log_det

    @torch.no_grad()
    def sample(
        self, n: int, condition: Tensor | None = None, *, generator: torch.Generator
    ) -> Tensor:
        """`n` points of each model, shape (K, n, d), for `condition` of shape (K, n, m)."""
        shape = (self.n_models, n, self.architecture.features)
        noise = self.base.draw(shape, self.weights, generator)
        return self.inverse(noise.to(self.weights.device), condition)[0]

    @torch.no_grad()
    def average_log_prob(self, x: Tensor, condition: Tensor) -> Tensor:
        """Natural logarithm of the mean of all K densities at the same points.

        Parameters
        ----------
        x : Tensor of shape (N, d)
        condition : Tensor of shape (N, m)

        Returns
        -------
        Tensor of shape (N,)
        """
        size = max(1, CHUNK // self.n_models)
        parts = [
            torch.logsumexp(
                self.log_prob(
                    stars.expand(self.n_models, -1, -1), context.expand(self.n_models, -1, -1)
                ),
                dim=0,
            )
            for stars, context in zip(
                torch.split(x, size), torch.split(condition, size), strict=True
            )
        ]
        return torch.cat(parts) - log(self.n_models)

    @torch.no_grad()
    def share_outside(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Share of each model's stars that lie outside the box of one of its splines.

        There a spline is the identity: a large share says that its bound is too small for the
        data. Flows without splines have no box, and give 0.

        Parameters
        ----------
        x : Tensor of shape (K, N, d)
        condition : Tensor of shape (K, N, m), optional where m is 0

        Returns
        -------
        Tensor of shape (K,)
        """
        z, context = self._stars_last(x, condition)
        outside = torch.zeros(z.shape[0], z.shape[2], dtype=torch.bool, device=z.device)
        for transform, parameters in zip(self.transforms, self._by_transform(), strict=True):
            outside |= transform.outside(parameters, z, context)
            z, _ = transform.forward(parameters, z, context)
        return outside.double().mean(dim=1)

    def _stars_last(self, x: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        condition = self._checked(x, condition)
        return x.transpose(1, 2).contiguous(), condition.transpose(1, 2).contiguous()

    def _checked(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """The condition, an empty one where it is None, if both shapes fit the stack."""
        shape = self.architecture
        if condition is None:
            condition = x.new_empty(*x.shape[:2], 0)
        wanted = (self.n_models, x.shape[1])
        if x.shape != (*wanted, shape.features) or condition.shape != (*wanted, shape.conditions):
            raise ValueError(
                f"a stack of {self.n_models} flows with {shape.features} features and "
                f"{shape.conditions} conditions cannot take arrays of shapes "
                f"{tuple(x.shape)} and {tuple(condition.shape)}"
            )
        return condition

    def _by_transform(self) -> Iterator[Parameters]:
        """Masked parameters and statistics of each transform, as views with K rows."""
        learned = _views(self.weights * self.mask, self._shapes)
        running = _views(self.statistics, self._statistic_shapes)
        return ({**a, **b} for a, b in zip(learned, running, strict=True))

    def _flat_mask(self) -> Tensor:
        masks: list[Mapping[str, np.ndarray[Any, Any]]] = []
        for transform, shapes in zip(self.transforms, self._shapes, strict=True):
            given = transform.masks()
            masks.append({name: given.get(name, np.ones(shapes[name])) for name in shapes})
        return torch.as_tensor(_flatten(masks, self._shapes))


def _width(shapes: Sequence[Mapping[str, Shape]]) -> int:
    return sum(prod(shape) for group in shapes for shape in group.values())


def _flatten(
    values: Sequence[Mapping[str, np.ndarray[Any, Any]]], shapes: Sequence[Mapping[str, Shape]]
) -> np.ndarray[Any, Any]:
    """One row of all named arrays, in the order of `shapes`."""
    flat = [
        np.ravel(group[name]) for group, names in zip(values, shapes, strict=True) for name in names
    ]
    return np.concatenate([np.empty(0), *flat])


def _views(rows: Tensor, shapes: Sequence[Mapping[str, Shape]]) -> list[dict[str, Tensor]]:
    """The inverse of `_flatten`, for K rows at once."""
    sizes = [prod(shape) for group in shapes for shape in group.values()]
    # One split of the whole row: its backward is one concatenation.
    parts = iter(torch.split(rows, sizes, dim=1))
    return [
        {name: next(parts).view(len(rows), *shape) for name, shape in group.items()}
        for group in shapes
    ]
