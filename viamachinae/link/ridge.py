"""Whether the stars of a line lie on the ridge line of an old population at one distance (ours).

Each star has a weight at each distance: the Gaussian height of its distance in colour from the
ridge line at its magnitude. The fit of a distance is how far the mean weight of the line stars
stands above that of all the candidate's stars, on the line and beside it, in its standard
deviation for a random choice of as many of them. The distance of the best fit is taken.

Null: which of the candidate's stars are on the line has nothing to do with colour and magnitude.
Then the line stars are a random choice of them, and the score, the share of such choices whose
best fit over all distances is worse, is uniform between 0 and 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from viamachinae.catalog.ridge_lines import ridge_at
from viamachinae.config import RidgeConfig
from viamachinae.link.hough import Bools, Floats

# Distance at which magnitudes are absolute.
TEN_PC = 0.01
STEP_MAG = 0.1
N_CHOICES = 999


class RidgeFit(NamedTuple):
    """Distance in kpc and score of the best fit; NaN where there are too few stars."""

    distance_kpc: float
    score: float


def fit_ridge(
    g_mag: Floats, bp_rp: Floats, on_line: Bools, config: RidgeConfig, rng: np.random.Generator
) -> RidgeFit:
    """Distance and score of a candidate.

    Parameters
    ----------
    g_mag, bp_rp : float64 arrays of shape (n,)
        Gaia G and BP - RP of the candidate's stars, mag, free of extinction; stars with a NaN
        are left out.
    on_line : bool array of shape (n,)
        Whether a star lies on the line.
    config : RidgeConfig
        Ridge line and range of distances.
    rng : numpy.random.Generator
        Draws the choices of the null.
    """
    there = np.isfinite(g_mag) & np.isfinite(bp_rp)
    on = on_line[there]
    n_on, n = np.count_nonzero(on), len(on)
    if min(n_on, n - n_on) < config.min_stars:
        return RidgeFit(np.nan, np.nan)
    nearest, farthest = (5 * np.log10(distance) + 10 for distance in config.distance_kpc)
    moduli = np.arange(nearest, farthest, STEP_MAG)
    weight = ridge_weights(g_mag[there], bp_rp[there], moduli, config)
    weight = weight - weight.mean(axis=0)
    spread = weight.std(axis=0) * np.sqrt((n - n_on) / (n_on * max(n - 1, 1)))
    used = spread > 0
    if not np.any(used):
        return RidgeFit(np.nan, np.nan)
    unit = weight[:, used] / spread[used]
    fits = on @ unit / n_on
    choices = rng.permuted(np.tile(on, (N_CHOICES, 1)), axis=1)
    null = np.max(choices @ unit, axis=1) / n_on
    worse = np.count_nonzero(null < fits.max())
    modulus = moduli[used][np.argmax(fits)]
    return RidgeFit(float(10 ** ((modulus - 10) / 5)), worse / N_CHOICES)


def ridge_weights(g_mag: Floats, bp_rp: Floats, moduli: Floats, config: RidgeConfig) -> Floats:
    """Weight of each star at each distance modulus, 0 to 1, shape (n_stars, n_moduli).

    Zero for stars brighter than the tip of the giant branch or fainter than the ridge line.
    """
    line = ridge_at(config.feh, config.age_gyr, TEN_PC)
    g_abs = g_mag[:, None] - moduli
    ridge = np.interp(g_abs, line.g_mag, line.bp_rp, left=np.nan, right=np.nan)
    width = np.hypot(config.colour_width, colour_error(g_mag))[:, None]
    weight = np.exp(-0.5 * ((bp_rp[:, None] - ridge) / width) ** 2)
    return np.nan_to_num(weight, nan=0.0)


def colour_error(g_mag: Floats) -> Floats:
    """Error of BP - RP at a G magnitude, mag: 0.1 at G = 20, growing as the inverse flux (ours)."""
    return np.asarray(0.1 * 10 ** (0.4 * (g_mag - 20)))
