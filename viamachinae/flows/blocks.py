"""The blocks of a flow: networks that steer monotonic maps of single features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from viamachinae.flows.networks import MLP, MaskedMLP, Parameters, Shape
from viamachinae.flows.transforms import Drawn, Mapped, Transform
from viamachinae.flows.univariate import Univariate


@dataclass(frozen=True)
class Autoregressive(Transform):
    """z_i = f(x_i; raw_i), with raw parameters that are functions of x_1 .. x_(i-1).

    One layer of the masked autoregressive flow (Papamakarios et al. 2017, arXiv:1705.07057,
    section 3): x to z in one pass of the network, z to x in d passes.
    """

    network: MaskedMLP
    univariate: Univariate

    def shapes(self) -> dict[str, Shape]:
        """Those of the network."""
        return self.network.shapes()

    def masks(self) -> Mapping[str, NDArray[np.bool_]]:
        """Those of the network."""
        return self.network.masks()

    def draw(self, generator: np.random.Generator, /) -> Drawn:
        """Those of the network."""
        return self.network.draw(generator)

    def forward(self, p: Parameters, x: Tensor, condition: Tensor, /) -> Mapped:
        """Map all features in one pass of the network."""
        z, log_slope = self.univariate.forward(self._raw(p, x, condition), x)
        return z, log_slope.sum(dim=1)

    def inverse(self, p: Parameters, z: Tensor, condition: Tensor, /) -> Mapped:
        """Map back in d passes: each makes one more feature right, given those before it."""
        x = torch.zeros_like(z)
        for _ in range(self.network.features):
            x, log_slope = self.univariate.inverse(self._raw(p, x, condition), z)
        return x, log_slope.sum(dim=1)

    def outside(self, p: Parameters, x: Tensor, condition: Tensor, /) -> Tensor:
        """Stars with a feature outside the box of the map."""
        return self.univariate.outside(self._raw(p, x, condition), x).any(dim=1)

    def _raw(self, p: Parameters, x: Tensor, condition: Tensor) -> Tensor:
        outputs = self.network.apply(p, x, condition)
        return outputs.view(len(x), self.univariate.parameters, *x.shape[1:])


@dataclass(frozen=True)
class Inverted(Transform):
    """Another transform run backwards.

    Of an autoregressive one it makes the inverse autoregressive flow (Kingma et al. 2016,
    arXiv:1606.04934): z to x in one pass of the network, x to z in d passes.
    """

    inner: Transform

    def shapes(self) -> dict[str, Shape]:
        """Those of the inner transform."""
        return self.inner.shapes()

    def masks(self) -> Mapping[str, NDArray[np.bool_]]:
        """Those of the inner transform."""
        return self.inner.masks()

    def draw(self, generator: np.random.Generator, /) -> Drawn:
        """Those of the inner transform."""
        return self.inner.draw(generator)

    def forward(self, p: Parameters, x: Tensor, condition: Tensor, /) -> Mapped:
        """The inner transform's inverse."""
        return self.inner.inverse(p, x, condition)

    def inverse(self, p: Parameters, z: Tensor, condition: Tensor, /) -> Mapped:
        """The inner transform."""
        return self.inner.forward(p, z, condition)


@dataclass(frozen=True)
class Coupling(Transform):
    """The first features pass unchanged and steer the map of the others.

    A coupling layer (Dinh et al. 2017, arXiv:1605.08803): one pass of the network in both
    directions.

    Attributes
    ----------
    passed : int
        Number of features that pass, 1 or more.
    network : MLP
        From the features passed and the conditions to the raw parameters of the others.
    univariate : Univariate
    """

    passed: int
    network: MLP
    univariate: Univariate

    def shapes(self) -> dict[str, Shape]:
        """Those of the network."""
        return self.network.shapes()

    def draw(self, generator: np.random.Generator, /) -> Drawn:
        """Those of the network."""
        return self.network.draw(generator)

    def forward(self, p: Parameters, x: Tensor, condition: Tensor, /) -> Mapped:
        """Map the features that do not pass."""
        passed, others = x[:, : self.passed], x[:, self.passed :]
        z, log_slope = self.univariate.forward(self._raw(p, passed, condition), others)
        return torch.cat([passed, z], dim=1), log_slope.sum(dim=1)

    def inverse(self, p: Parameters, z: Tensor, condition: Tensor, /) -> Mapped:
        """Map them back."""
        passed, others = z[:, : self.passed], z[:, self.passed :]
        x, log_slope = self.univariate.inverse(self._raw(p, passed, condition), others)
        return torch.cat([passed, x], dim=1), log_slope.sum(dim=1)

    def outside(self, p: Parameters, x: Tensor, condition: Tensor, /) -> Tensor:
        """Stars with a mapped feature outside the box of the map."""
        passed, others = x[:, : self.passed], x[:, self.passed :]
        return self.univariate.outside(self._raw(p, passed, condition), others).any(dim=1)

    def _raw(self, p: Parameters, passed: Tensor, condition: Tensor) -> Tensor:
        outputs = self.network.apply(p, torch.cat([passed, condition], dim=1))
        return outputs.view(len(passed), self.univariate.parameters, -1, passed.shape[2])
