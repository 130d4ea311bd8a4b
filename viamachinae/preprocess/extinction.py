"""Colours and magnitudes freed of the extinction by Galactic dust.

The extinction in a band is A = k A0, with A0 the extinction at 550 nm, which is 3.1 E(B-V), and
k a polynomial in the star's intrinsic colour and in A0. Both laws are those of Gaia's own
passbands; they rest on an R_V of 3.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table
from numpy.typing import ArrayLike, NDArray

from viamachinae.config import ColumnEbv, PreprocessConfig
from viamachinae.dust import open_map
from viamachinae.errors import BadInputError

Array = NDArray[np.float64]
Band = Literal["G", "BP", "RP"]

# A0 over E(B-V), to which the laws' polynomials belong.
R_V = 3.1
# Range of intrinsic colours, mag, of ESA's EDR3 law, taken for both; beyond it k keeps its value
# at the end.
COLOUR_RANGE = (-0.06, 2.5)
# Stars behind more dust than this, in A0, are not dereddened: where streams are looked for there
# is none, and the polynomials grow unsafe (ours).
MAX_A0 = 5.0
# When the fixed point has settled, mag; up to MAX_A0 each step takes a sixth off the error or more.
TOLERANCE = 1e-8
MAX_STEPS = 100


class Law(NamedTuple):
    """Coefficients of k for each band, in the order of `TERMS`, with their source."""

    source: str
    coefficients: Mapping[Band, tuple[float, ...]]


# Powers of (colour, A0) that the coefficients of a law belong to.
TERMS = ((0, 0), (1, 0), (2, 0), (3, 0), (0, 1), (0, 2), (0, 3), (1, 1), (2, 1), (1, 2))

LAWS: Mapping[str, Law] = {
    "gaia_dr2": Law(
        "Gaia Collaboration, Babusiaux et al. 2018 (A&A 616, A10), equation 1 and table 1",
        {
            "G": (0.9761, -0.1704, 0.0086, 0.0011, -0.0438, 0.0013, 0, 0.0099, 0, 0),
            "BP": (1.1517, -0.0871, -0.0333, 0.0173, -0.0230, 0.0006, 0, 0.0043, 0, 0),
            "RP": (0.6104, -0.0170, -0.0026, -0.0017, -0.0078, 0.00005, 0, 0.0006, 0, 0),
        },
    ),
    "gaia_dr3": Law(
        "ESA, 'Gaia EDR3 extinction law' (cosmos.esa.int/web/gaia/edr3-extinction-law), "
        "Fitz19_EDR3_MainSequence.csv, rows in BP-RP, to seven digits",
        {
            "G": (
                *(0.9959697, -0.1597265, 0.01223807, 0.0009072656),
                *(-0.03771603, 0.001513475, -2.523645e-5),
                *(0.01145227, -0.0009369150, -0.0002602968),
            ),
            "BP": (
                *(1.153632, -0.08140130, -0.03601302, 0.01921436),
                *(-0.02239755, 0.0008405627, -1.310180e-5),
                *(0.006601241, -0.0008822475, -0.0001112158),
            ),
            "RP": (
                *(0.6632079, -0.01798472, 0.0004937694, -0.002679944),
                *(-0.006514221, 3.301799e-5, 1.578942e-6),
                *(-7.980090e-5, 0.0002556798, 1.104766e-5),
            ),
        },
    ),
}


class Intrinsic(NamedTuple):
    """Colour bp_rp and magnitude G without extinction, mag, shape (n,)."""

    colour: Array
    mag: Array


def extinction_ratio(law: Law, band: Band, colour: ArrayLike, a0: ArrayLike) -> Array:
    """Extinction in a band over A0.

    Parameters
    ----------
    law : Law
    band : {"G", "BP", "RP"}
    colour : array of shape (n,)
        Intrinsic bp_rp, mag; cut off at `COLOUR_RANGE`.
    a0 : array of shape (n,)
        mag.
    """
    colour = np.clip(np.asarray(colour, dtype=np.float64), *COLOUR_RANGE)
    a0 = np.asarray(a0, dtype=np.float64)
    ratio = np.zeros(np.broadcast_shapes(colour.shape, a0.shape))
    for coefficient, (in_colour, in_a0) in zip(law.coefficients[band], TERMS, strict=True):
        if coefficient:
            ratio += coefficient * colour**in_colour * a0**in_a0
    return ratio


def deredden(law: Law, colour: ArrayLike, mag: ArrayLike, ebv: ArrayLike) -> Intrinsic:
    """Take the extinction off observed photometry.

    The law is one of the intrinsic colour, which is found as a fixed point from the observed one.

    Parameters
    ----------
    law : Law
    colour, mag : array of shape (n,)
        Observed bp_rp and G, mag.
    ebv : array of shape (n,)
        E(B-V), mag.

    Returns
    -------
    Intrinsic
        NaN where an input is, and where A0 exceeds `MAX_A0`.
    """
    colour = np.asarray(colour, dtype=np.float64)
    a0 = R_V * np.asarray(ebv, dtype=np.float64)
    a0 = np.where(np.abs(a0) <= MAX_A0, a0, np.nan)
    intrinsic = colour
    for _ in range(MAX_STEPS):
        k_bp, k_rp = (extinction_ratio(law, band, intrinsic, a0) for band in ("BP", "RP"))
        previous, intrinsic = intrinsic, colour - a0 * (k_bp - k_rp)
        if not np.any(np.abs(intrinsic - previous) > TOLERANCE):
            break
    mag = np.asarray(mag, dtype=np.float64)
    return Intrinsic(intrinsic, mag - a0 * extinction_ratio(law, "G", intrinsic, a0))


def law_of(config: PreprocessConfig, release: str) -> Law:
    """The law that the configuration asks for.

    Raises
    ------
    BadInputError
        If it is that of the release, and there is none.
    """
    name = release if config.extinction_law == "release" else config.extinction_law
    if name not in LAWS:
        raise BadInputError(
            f"preprocess.extinction_law: none is known for {name}; choose {' or '.join(LAWS)}"
        )
    return LAWS[name]


def check_extinction(config: PreprocessConfig, release: str) -> None:
    """Find out before the work begins whether stars can be dereddened as configured.

    Raises
    ------
    BadInputError
        If the map of E(B-V) cannot be read, or no law is known for the release.
    """
    if config.dereddens:
        law_of(config, release)
        if not isinstance(config.ebv, ColumnEbv):
            open_map(config.ebv)


def ebv_of(stars: Table, config: PreprocessConfig) -> Array:
    """E(B-V) of stars (mag, shape (n,)), from their own column or the configured map.

    Parameters
    ----------
    stars : astropy.table.Table
        With ``ra``, ``dec`` (deg), and the column where the configuration names one.

    Raises
    ------
    BadInputError
        If the map cannot be read.
    """
    if isinstance(config.ebv, ColumnEbv):
        return config.ebv.factor * np.asarray(stars[config.ebv.column_name], dtype=np.float64)
    ra, dec = (np.asarray(stars[name], dtype=np.float64) for name in ("ra", "dec"))
    placed = np.isfinite(ra) & np.isfinite(dec)
    ebv = np.full(len(stars), np.nan)
    ebv[placed] = open_map(config.ebv)(SkyCoord(ra[placed] * u.deg, dec[placed] * u.deg))
    return ebv
