"""What stands between the blocks of a flow: maps that mix the features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from viamachinae.flows.networks import Parameters, Shape
from viamachinae.flows.transforms import Drawn, Mapped, Transform


class Reversal(Transform):
    """The features in reverse order, so that the next block conditions the other way round."""

    def forward(self, _p: Parameters, x: Tensor, _condition: Tensor, /) -> Mapped:
        """Reverse; the volume stays."""
        return x.flip(1), x.new_zeros(x.shape[0], x.shape[2])

    def inverse(self, p: Parameters, z: Tensor, condition: Tensor, /) -> Mapped:
        """Reverse again."""
        return self.forward(p, z, condition)


@dataclass(frozen=True)
class Permutation(Transform):
    """The features in another order, the same for all models.

    Attributes
    ----------
    order : tuple of int
        Feature ``order[i]`` of the input becomes feature ``i``.
    """

    order: tuple[int, ...]

    @classmethod
    def fixed(cls, features: int, position: int) -> Permutation:
        """An order drawn at random once and for all for a position in a flow.

        It is never the identity.
        """
        generator = np.random.default_rng([features, position])
        order = list(range(features))
        while order == sorted(order):
            order = generator.permutation(features).tolist()
        return cls(tuple(order))

    def forward(self, _p: Parameters, x: Tensor, _condition: Tensor, /) -> Mapped:
        """Permute; the volume stays."""
        return _reordered(x, self.order), x.new_zeros(x.shape[0], x.shape[2])

    def inverse(self, _p: Parameters, z: Tensor, _condition: Tensor, /) -> Mapped:
        """Permute back."""
        back = np.argsort(self.order).tolist()
        return _reordered(z, back), z.new_zeros(z.shape[0], z.shape[2])


@dataclass(frozen=True)
class LUMixing(Transform):
    """z = L U x + offset, with L unit lower triangular and U upper triangular.

    A learned linear map whose determinant is the product of the diagonal of U, here exp of a
    free parameter (Oliva et al. 2018, arXiv:1801.09819; Kingma & Dhariwal 2018,
    arXiv:1807.03039, section 3.2).
    """

    features: int

    def shapes(self) -> dict[str, Shape]:
        """Both triangles in one matrix, the logarithm of the diagonal, and the offset."""
        d = self.features
        return {"triangles": (d, d), "log_diagonal": (d,), "offset": (d,)}

    def masks(self) -> Mapping[str, NDArray[np.bool_]]:
        """All but the diagonal of the matrix is free."""
        return {"triangles": ~np.eye(self.features, dtype=np.bool_)}

    def draw(self, _generator: np.random.Generator, /) -> Drawn:
        """The identity."""
        return {name: np.zeros(shape) for name, shape in self.shapes().items()}

    def forward(self, p: Parameters, x: Tensor, _condition: Tensor, /) -> Mapped:
        """Multiply."""
        lower, upper = self._triangles(p)
        z = torch.baddbmm(p["offset"].unsqueeze(-1), lower @ upper, x)
        return z, p["log_diagonal"].sum(dim=1, keepdim=True).expand(-1, x.shape[2])

    def inverse(self, p: Parameters, z: Tensor, _condition: Tensor, /) -> Mapped:
        """Solve for both triangles in turn."""
        lower, upper = self._triangles(p)
        half = torch.linalg.solve_triangular(
            lower, z - p["offset"].unsqueeze(-1), upper=False, unitriangular=True
        )
        x = torch.linalg.solve_triangular(upper, half, upper=True)
        return x, -p["log_diagonal"].sum(dim=1, keepdim=True).expand(-1, z.shape[2])

    def _triangles(self, p: Parameters) -> tuple[Tensor, Tensor]:
        both = p["triangles"]
        one = torch.eye(self.features, dtype=both.dtype, device=both.device)
        return both.tril(-1) + one, both.triu(1) + torch.diag_embed(torch.exp(p["log_diagonal"]))


def _reordered(x: Tensor, order: Sequence[int]) -> Tensor:
    """The features in another order; without an index, which a device would have to be sent."""
    return torch.stack([x[:, i] for i in order], dim=1)
