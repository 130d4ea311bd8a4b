"""The density of the condition inside a signal region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

Array = NDArray[np.float64]

# Cells between the edges of a region: far narrower than any bandwidth in use.
CELLS = 1024


@dataclass(frozen=True)
class ConditionDensity:
    """A Gaussian kernel density estimate, reflected at the edges of its sample, in narrow cells.

    Nothing is drawn from outside the range of the sample, where flows know no density.

    Attributes
    ----------
    lower, upper : float
        The range of the sample.
    share : ndarray of shape (CELLS,), float64
        Probability of each cell, positive.
    """

    lower: float
    upper: float
    share: Array

    @classmethod
    def fit(cls, values: Array) -> Self:
        """Of the conditions of a region's stars, shape (n,); bandwidth by Scott's rule.

        Raises
        ------
        ValueError
            If they are fewer than two, or all the same.
        """
        if len(values) < 2 or np.ptp(values) == 0:
            raise ValueError("the density of a condition needs at least two values")
        lower, upper = float(values.min()), float(values.max())
        counts, _ = np.histogram(values, CELLS, (lower, upper))
        bandwidth = values.std() * len(values) ** -0.2
        cells = bandwidth / (upper - lower) * CELLS
        smooth = gaussian_filter1d(counts.astype(np.float64), cells, mode="reflect", truncate=6.0)
        # Far from all stars the kernel is cut off: no cell may be impossible.
        smooth += 1e-6 * smooth.mean()
        return cls(lower, upper, smooth / smooth.sum())

    def draw(self, n: int, generator: np.random.Generator) -> Array:
        """`n` conditions, shape (n,)."""
        cell = generator.choice(len(self.share), size=n, p=self.share)
        width = (self.upper - self.lower) / len(self.share)
        return np.minimum(self.lower + (cell + generator.random(n)) * width, self.upper)

    def log_pdf(self, values: Array) -> Array:
        """Natural logarithm of the density at conditions of shape (n,); outside, as at the edge."""
        width = (self.upper - self.lower) / len(self.share)
        cell = np.floor((values - self.lower) / width).astype(np.int64)
        log_density: Array = np.log(self.share / width)[np.clip(cell, 0, len(self.share) - 1)]
        return log_density
