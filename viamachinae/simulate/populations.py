"""Stellar populations: where their stars lie in the colour-magnitude diagram, and how many."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from viamachinae.catalog.ridge_lines import RidgeLine, ridge_line

Array = NDArray[np.float64]

# Share of unresolved binaries: Jurić et al. 2008 correct their densities for 35 %.
BINARY_FRACTION = 0.35
# Colour scatter beyond metallicity, age and binaries, mag (ours).
COLOUR_SCATTER = 0.02
MAIN_SEQUENCE = 0
# Widths in log mass of Chabrier's initial mass functions of the young disc and of old stars.
DISC_WIDTH, SPHEROID_WIDTH = 0.57, 0.33


def system_number(mass: ArrayLike, width: float) -> Array:
    """Share of stellar systems with primaries lighter than `mass`, in arbitrary units.

    The initial mass functions of unresolved systems of Chabrier 2003 (PASP 115, 763, eqs. 18 and
    20): log-normal about 0.22 solar masses, continued by a power law above one solar mass.

    Parameters
    ----------
    mass : array
        Solar masses.
    width : float
        `DISC_WIDTH` or `SPHEROID_WIDTH`, dex.
    """
    log_mass = np.log10(mass)
    centre = np.log10(0.22)
    low = ndtr((np.minimum(log_mass, 0) - centre) / width)
    # The two are of one height at one solar mass.
    height = np.exp(-0.5 * (centre / width) ** 2) / (np.sqrt(2 * np.pi) * width)
    high = (1 - 10 ** (-1.3 * np.maximum(log_mass, 0))) / (1.3 * np.log(10))
    return np.asarray(low + height * high)


@dataclass(frozen=True)
class Population:
    """A mixture of ridge lines as segments, the one with the brightest star first.

    Attributes
    ----------
    g_abs, bp_rp : array of shape (n, 2)
        Absolute G and colour at the two ends of the segments, mag.
    number : array of shape (n,)
        Share of the population's living stars in each segment; sums to 1.
    slope : array of shape (n,)
        Change of colour with G along the main sequence, by which an unresolved companion
        reddens; zero elsewhere, where the companion is too faint to matter.
    """

    g_abs: Array
    bp_rp: Array
    number: Array
    slope: Array

    @classmethod
    def mixture(
        cls, metallicities: ArrayLike, ages_gyr: ArrayLike, width: float = SPHEROID_WIDTH
    ) -> Population:
        """Equal numbers of stars at every pair of a metallicity and an age (Gyr)."""
        pairs = product(np.atleast_1d(metallicities), np.atleast_1d(ages_gyr))
        parts = [_segments(ridge_line(float(feh), float(age)), width) for feh, age in pairs]
        g_abs, bp_rp, number, slope = (np.concatenate(p) for p in zip(*parts, strict=True))
        order = np.argsort(g_abs.min(axis=1), kind="stable")
        return cls(g_abs[order], bp_rp[order], number[order] / number.sum(), slope[order])

    @classmethod
    def normal(
        cls, mean_feh: float, sigma_feh: float, ages_gyr: ArrayLike, width: float = SPHEROID_WIDTH
    ) -> Population:
        """A normal distribution of metallicities, as seven of equal weight."""
        metallicities = mean_feh + sigma_feh * ndtri((np.arange(7) + 0.5) / 7)
        return cls.mixture(metallicities, ages_gyr, width)

    def share_brighter(self, g_abs: ArrayLike) -> Array:
        """Share of the stars brighter than absolute magnitudes of any shape."""
        limit = np.asarray(g_abs, dtype=np.float64)[..., None]
        bright, faint = self.g_abs.min(axis=1), self.g_abs.max(axis=1)
        inside = (limit - bright) / np.maximum(faint - bright, 1e-9)
        return np.asarray(np.clip(inside, 0, 1) @ self.number)

    def share_to_draw(self, g_abs: ArrayLike) -> Array:
        """Share of the stars on segments that reach above the magnitudes: what `draw` draws."""
        reached = np.searchsorted(self.g_abs.min(axis=1), np.asarray(g_abs))
        return np.concatenate([[0.0], np.cumsum(self.number)])[reached]

    def draw(self, rng: np.random.Generator, share: Array) -> tuple[Array, Array]:
        """Stars of the segments that make up the brightest `share` of the population.

        Parameters
        ----------
        rng : numpy.random.Generator
        share : array of shape (n,)
            One value of `share_to_draw` a star. The last segments reach below the limit from
            which the share came, so the caller cuts at the limit.

        Returns
        -------
        g_abs, bp_rp : arrays of shape (n,)
            Absolute magnitude of the system and its colour, mag.
        """
        n = len(share)
        at = np.searchsorted(np.cumsum(self.number), rng.random(n) * share, side="right")
        at = np.minimum(at, len(self.number) - 1)
        along = rng.random(n)
        g_abs = self.g_abs[at, 0] + along * (self.g_abs[at, 1] - self.g_abs[at, 0])
        bp_rp = self.bp_rp[at, 0] + along * (self.bp_rp[at, 1] - self.bp_rp[at, 0])
        reddening = self.slope[at] * _companion_light(rng, n)
        return g_abs, bp_rp + reddening + COLOUR_SCATTER * rng.standard_normal(n)


def _segments(line: RidgeLine, width: float) -> tuple[Array, Array, Array, Array]:
    """Ends in G and colour, number per star of the line, and slope, of its segments."""
    g_abs = np.stack([line.g_abs[:-1], line.g_abs[1:]], axis=1)
    bp_rp = np.stack([line.bp_rp[:-1], line.bp_rp[1:]], axis=1)
    number = np.maximum(np.diff(system_number(line.initial_mass, width)), 0)
    rise = np.diff(line.bp_rp) / np.where(np.diff(line.g_abs) == 0, np.inf, np.diff(line.g_abs))
    slope = np.where(line.branch[1:] == MAIN_SEQUENCE, np.clip(rise, 0, 0.5), 0)
    within = line.branch[1:] == line.branch[:-1]
    return g_abs[within], bp_rp[within], number[within] / number[within].sum(), slope[within]


def _companion_light(rng: np.random.Generator, n: int) -> Array:
    """By how much the primary is fainter than the system, mag: zero for single stars.

    Mass ratios are uniform (Duchêne & Kraus 2013, ARA&A 51, 269); light goes as the fourth
    power of mass.
    """
    ratio = np.where(rng.random(n) < BINARY_FRACTION, rng.random(n), 0.0)
    return np.asarray(2.5 * np.log10(1 + ratio**4))
