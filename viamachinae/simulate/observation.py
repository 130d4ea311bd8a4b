"""What Gaia would report of a star: errors as functions of magnitude."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Columns = dict[str, NDArray[Any]]

# Errors of parallax and of proper motion in ra and dec over the parallax error of DR3, by release:
# Gaia science performance. DR4's are not published.
ASTROMETRY = {
    "gaia_dr2": (1.24, 1.24 * 1.58, 1.24 * 1.37),
    "gaia_dr3": (1.0, 1.03, 0.89),
}
# Spread of the astrometric errors at one magnitude, as the real sky shows it (ours).
ERROR_SCATTER = 0.12
# Photometric error: (floor in mag, photon term, background term), see `magnitude_error`.
# Terms measured on Gaia DR3 at (ra, dec) = (45, 0) deg (ours).
PHOTOMETRY = {
    "G": (3e-4, 1.4e-7, 2.5e-9),
    "BP": (8e-4, 4.0e-6, 6.5e-7),
    "RP": (6e-4, 3.0e-6, 2.65e-6),
}
# BP - G as a polynomial in BP - RP, along PARSEC isochrones of -0.4 < BP - RP < 5 to 0.02 mag.
BP_MINUS_G = (-0.01146, 0.33732, 0.09343, -0.00454)
# RUWE: a narrow core, and a share of binaries with an exponential tail in its logarithm (ours).
RUWE_CORE, RUWE_WIDTH, RUWE_TAIL_SHARE, RUWE_TAIL = 1.025, 0.055, 0.10, 0.4
# Smallest share of its true flux that a star is measured at; keeps magnitudes finite (ours).
MIN_FLUX_SHARE = 0.1
# Stars are drawn this far below a limit in G and cut at it once observed, mag; errors in G are
# 0.01 mag at the faintest limit (ours).
MARGIN_MAG = 0.05


class Stars(NamedTuple):
    """Stars as they are, all of shape (n,): ids, deg, kpc, mas/yr, mag."""

    source_id: NDArray[np.int64]
    ra: Array
    dec: Array
    distance_kpc: Array
    pmra: Array
    pmdec: Array
    g_mag: Array
    bp_rp: Array


def distance_modulus(distance_kpc: ArrayLike) -> Array:
    """Apparent less absolute magnitude, without extinction, mag."""
    return np.asarray(5 * np.log10(distance_kpc) + 10)


def parallax_error(g_mag: ArrayLike) -> Array:
    """Sky-averaged parallax error of Gaia DR3, mas.

    The formula of ESA's Gaia science-performance page: sqrt(40 + 800 z + 30 z^2) in µas with
    z = max(10^(0.4 (13 - 15)), 10^(0.4 (G - 15))).
    """
    z = 10 ** (0.4 * (np.maximum(g_mag, 13.0) - 15))
    return np.asarray(1e-3 * np.sqrt(40 + 800 * z + 30 * z**2))


def magnitude_error(mag: ArrayLike, band: str) -> Array:
    """Median photometric error of Gaia DR3 at a magnitude of the same band, mag.

    Quadrature sum of a floor, of photon noise and of background noise:
    sqrt(floor^2 + a z + b z^2) with z = 10^(0.4 (mag - 15)).

    Parameters
    ----------
    mag : array
        Magnitude in the band.
    band : str
        "G", "BP" or "RP".
    """
    floor, photons, background = PHOTOMETRY[band]
    z = 10 ** (0.4 * (np.asarray(mag, dtype=np.float64) - 15))
    return np.asarray(np.sqrt(floor**2 + photons * z + background * z**2))


def observe(rng: np.random.Generator, stars: Stars, release: str = "gaia_dr3") -> Columns:
    """Catalogue columns of the stars under Gaia's names, with errors drawn.

    Positions are exact: their errors of below 1 mas matter to no stream. Errors in G, BP and RP
    are normal in flux, and those of DR3 in any release. RUWE is drawn independently of everything
    else.

    Parameters
    ----------
    rng : numpy.random.Generator
    stars : Stars
        As they are.
    release : str
        A key of `ASTROMETRY`.
    """
    n = len(stars.ra)
    scatter = np.exp(ERROR_SCATTER * rng.standard_normal(n))
    of_dr3 = parallax_error(stars.g_mag) * scatter
    error, pmra_error, pmdec_error = (of_dr3 * ratio for ratio in ASTROMETRY[release])
    bp = stars.g_mag + np.polynomial.polynomial.polyval(np.clip(stars.bp_rp, -0.4, 5.0), BP_MINUS_G)
    measured_bp = _measured(rng, bp, "BP")
    measured_rp = _measured(rng, bp - stars.bp_rp, "RP")
    return {
        "source_id": stars.source_id,
        "ra": stars.ra,
        "dec": stars.dec,
        "parallax": 1 / stars.distance_kpc + error * rng.standard_normal(n),
        "parallax_error": error,
        "pmra": stars.pmra + pmra_error * rng.standard_normal(n),
        "pmra_error": pmra_error,
        "pmdec": stars.pmdec + pmdec_error * rng.standard_normal(n),
        "pmdec_error": pmdec_error,
        "phot_g_mean_mag": _measured(rng, stars.g_mag, "G"),
        "bp_rp": measured_bp - measured_rp,
        "ruwe": _ruwe(rng, n),
    }


def _measured(rng: np.random.Generator, mag: Array, band: str) -> Array:
    flux_error = magnitude_error(mag, band) * np.log(10) / 2.5
    flux = 1 + flux_error * rng.standard_normal(len(mag))
    return np.asarray(mag - 2.5 * np.log10(np.maximum(flux, MIN_FLUX_SHARE)))


def _ruwe(rng: np.random.Generator, n: int) -> Array:
    core = RUWE_WIDTH * rng.standard_normal(n)
    tail = RUWE_TAIL * rng.standard_exponential(n)
    return np.asarray(RUWE_CORE * np.exp(np.where(rng.random(n) < RUWE_TAIL_SHARE, tail, core)))
