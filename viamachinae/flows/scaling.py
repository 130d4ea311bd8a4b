"""Maps from natural units to the unbounded, unit-variance space in which flows are fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

Array = NDArray[np.float64]

# Share of a feature's range by which the box is widened on each side, so that the extreme
# stars map to logit values within +-6.9. Ours.
MARGIN = 1e-3


@dataclass(frozen=True)
class Scaling:
    """Min-max to (0, 1), logit, then mean 0 and variance 1, feature by feature.

    The preprocessing of ANODE (arXiv:2001.04990, section 4): the logit turns the sharp edges
    of the data into tails, which a flow with a Gaussian base can follow.

    Attributes
    ----------
    lower, upper : ndarray of shape (d,), float64
        The open box that is mapped: the range of the data, widened by `MARGIN` of itself.
    mean, std : ndarray of shape (d,), float64
        Of the logits of the data.
    """

    lower: Array
    upper: Array
    mean: Array
    std: Array

    @classmethod
    def fit(cls, x: ArrayLike, names: Sequence[str] | None = None) -> Self:
        """The scaling of a sample.

        Parameters
        ----------
        x : array of shape (n, d)
            The sample, in natural units.
        names : sequence of d strings, optional
            What messages call the features; else their positions.

        Raises
        ------
        ValueError
            If a feature is constant or holds a value that is not finite.
        """
        x = _checked(x, names, "feature")
        low, high = x.min(axis=0), x.max(axis=0)
        margin = MARGIN * (high - low)
        lower, upper = low - margin, high + margin
        y = logit((x - lower) / (upper - lower))
        return cls(lower, upper, y.mean(axis=0), y.std(axis=0))

    def forward(self, x: ArrayLike) -> tuple[Array, Array]:
        """Scaled features and the logarithm of the Jacobian determinant.

        Parameters
        ----------
        x : array of shape (n, d)
            Natural units.

        Returns
        -------
        z : ndarray of shape (n, d), float64
            Always finite.
        log_det : ndarray of shape (n,), float64
            ln abs(dz/dx). A point outside the box (or NaN) has no density there: its `log_det`
            is -inf, and its `z` stands in for nothing.
        """
        share = (np.asarray(x, dtype=np.float64) - self.lower) / (self.upper - self.lower)
        inside = np.all((share > 0) & (share < 1), axis=1)
        share = np.where(inside[:, None], share, 0.5)
        z = (logit(share) - self.mean) / self.std
        # d logit(u) / du = 1 / (u (1 - u))
        log_slope = -np.log(share) - np.log1p(-share) - np.log((self.upper - self.lower) * self.std)
        return z, np.where(inside, log_slope.sum(axis=1), -np.inf)

    def inverse(self, z: ArrayLike) -> Array:
        """Natural units of scaled features of shape (n, d)."""
        share: Array = expit(np.asarray(z, dtype=np.float64) * self.std + self.mean)
        return self.lower + (self.upper - self.lower) * share

    def to_dict(self) -> dict[str, list[float]]:
        """Plain numbers for JSON, exact in float64."""
        return _plain(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Sequence[float]]) -> Self:
        """The inverse of `to_dict`."""
        return cls(**{name: np.asarray(values) for name, values in given.items()})


@dataclass(frozen=True)
class Standardisation:
    """Mean 0 and variance 1, column by column: the scaling of conditions.

    A network gives some density for any condition, but knows one only within the range of its
    training: a condition beyond that range is refused.

    Attributes
    ----------
    lower, upper : ndarray of shape (m,), float64
        The range of the sample.
    mean, std : ndarray of shape (m,), float64
    """

    lower: Array
    upper: Array
    mean: Array
    std: Array

    @classmethod
    def fit(cls, x: ArrayLike, names: Sequence[str] | None = None) -> Self:
        """As `Scaling.fit`, for conditions of shape (n, m)."""
        x = _checked(x, names, "condition")
        return cls(x.min(axis=0), x.max(axis=0), x.mean(axis=0), x.std(axis=0))

    def forward(self, x: ArrayLike) -> Array:
        """Scaled conditions, shape (n, m); no density changes, as none is over a condition.

        Raises
        ------
        ValueError
            If a condition lies outside the range of the sample, or is NaN.
        """
        x = np.asarray(x, dtype=np.float64)
        if not ((x >= self.lower) & (x <= self.upper)).all():
            raise ValueError(self._refusal(x))
        return np.asarray((x - self.mean) / self.std)

    def _refusal(self, x: Array) -> str:
        """Why some of the conditions are not taken."""
        outside = ~((x >= self.lower) & (x <= self.upper))
        column = int(outside.any(axis=0).argmax())
        bad = x[outside[:, column], column]
        return (
            f"condition {column} is {bad[0]:g} in the first of {len(bad)} rows (of {len(x)}) "
            f"outside its range in training, {self.lower[column]:g} to {self.upper[column]:g}, "
            "where flows know no density"
        )

    def to_dict(self) -> dict[str, list[float]]:
        """Plain numbers for JSON, exact in float64."""
        return _plain(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Sequence[float]]) -> Self:
        """The inverse of `to_dict`."""
        return cls(**{name: np.asarray(values) for name, values in given.items()})


def _plain(scaling: Scaling | Standardisation) -> dict[str, list[float]]:
    return {name: values.tolist() for name, values in asdict(scaling).items()}


def _checked(x: ArrayLike, names: Sequence[str] | None, what: str) -> Array:
    """`x` as float64, if every column is finite and not constant."""
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 2 or len(x) == 0:
        raise ValueError(f"a scaling needs an array of shape (n, d) with n > 0, not {x.shape}")
    for position in range(x.shape[1]):
        name = f"{what} {position if names is None else names[position]}"
        column = x[:, position]
        if not np.isfinite(column).all():
            bad = int(np.count_nonzero(~np.isfinite(column)))
            raise ValueError(f"{name} is NaN or infinite in {bad} of {len(x)} rows")
        if column.min() == column.max():
            raise ValueError(f"{name} is constant ({column[0]:g}): nothing is learned from it")
    return x
