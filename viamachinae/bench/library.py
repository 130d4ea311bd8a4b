"""What the benchmark asks of a library of flows, ours and others alike."""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from viamachinae.flows import Architecture

Floats = NDArray[np.float32]
Index = NDArray[np.int32]


class Recipe(NamedTuple):
    """How every library trains: plain Adam, without clipping, on batches of this size.

    With `steps` the learning rate falls to zero along half a cosine in so many; without, it is
    constant.
    """

    learning_rate: float
    batch: int
    steps: int = 0


class Flows(Protocol):
    """Flows of one shape in one library's hands: K at once."""

    def train(self, order: Index, /) -> None:
        """Take steps on the rows `order`, (K, steps, batch), of the N training stars; N at most."""

    def log_prob(self, stars: Floats, /) -> Floats:
        """Ln p of stars (K, N, d + m), features before conditions; shape (K, N)."""

    def sample(self, condition: Floats, /) -> Floats:
        """One sample for each condition of (K, N, m); shape (K, N, d)."""


class Library(Protocol):
    """A library of flows.

    Attributes
    ----------
    name : str
    packages : tuple of str
        What it imports.
    """

    name: str
    packages: tuple[str, ...]

    def cannot(self, architecture: Architecture, /) -> str:
        """Why it cannot take part with this shape; empty where it can."""

    def groups(self, architecture: Architecture, stack: int, batch: int, /) -> tuple[int, ...]:
        """Ways to work on a stack: how many models at once in each; the best one counts."""

    def flows(
        self, architecture: Architecture, stars: Floats, models: int, recipe: Recipe, seed: int, /
    ) -> Flows:
        """Untrained flows that will learn from stars of shape (N, d + m)."""


def missing(packages: tuple[str, ...]) -> str:
    """Why a library cannot take part; empty where all its packages are installed."""
    absent = [package for package in packages if find_spec(package) is None]
    return f"{' and '.join(absent)} not installed" if absent else ""
