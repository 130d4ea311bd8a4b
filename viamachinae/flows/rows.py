"""The stars that flows share, and which of them each flow learns from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

AnyArray = TypeVar("AnyArray", Tensor, NDArray[np.float64])


@dataclass(frozen=True)
class Rows:
    """A slice of an array, or all that lies outside it.

    Attributes
    ----------
    start, stop : int
        The slice [start, stop).
    complement : bool
        Whether the rows are those outside the slice.
    """

    start: int
    stop: int
    complement: bool = False

    def count(self, total: int) -> int:
        """Number of rows in an array of `total` rows."""
        inside = self.stop - self.start
        return total - inside if self.complement else inside

    def shuffled(self, total: int, generator: np.random.Generator) -> NDArray[np.int32]:
        """All row numbers, in random order."""
        drawn = generator.permutation(np.arange(self.count(total), dtype=np.int32))
        if self.complement:
            drawn[drawn >= self.start] += self.stop - self.start
            return drawn
        return drawn + np.int32(self.start)

    def parts(self, array: AnyArray) -> Iterator[AnyArray]:
        """The rows of an array as one or two views."""
        if self.complement:
            yield array[: self.start]
            yield array[self.stop :]
        else:
            yield array[self.start : self.stop]


@dataclass(frozen=True, eq=False)
class Picked:
    """Rows of an array by their numbers.

    Attributes
    ----------
    numbers : ndarray of shape (n,), int32
    """

    numbers: NDArray[np.int32]

    def count(self, _total: int) -> int:
        """Number of rows."""
        return len(self.numbers)

    def shuffled(self, _total: int, generator: np.random.Generator) -> NDArray[np.int32]:
        """All row numbers, in random order."""
        return generator.permutation(self.numbers)

    def parts(self, array: AnyArray) -> Iterator[AnyArray]:
        """The rows of an array as a copy."""
        yield array[self.numbers]


class Stars(NamedTuple):
    """Scaled stars on the device where flows are fitted.

    Both tensors have shape (N, d + m), float32: features, then conditions; sorted alike by
    the first condition, so that regions are slices.
    """

    train: Tensor
    held_out: Tensor


@dataclass(frozen=True)
class Task:
    """What one flow learns from: its rows of both tensors of `Stars`, and its seed.

    The seed decides the initial weights and the order of the stars.
    """

    train: Rows | Picked
    held_out: Rows | Picked
    seed: np.random.SeedSequence
