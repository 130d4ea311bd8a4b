"""The features and the condition of a scan, as arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from viamachinae.config import Feature, Scan
from viamachinae.errors import BadInputError

Array = NDArray[np.float64]

OTHER_PM: dict[Scan, Scan] = {"pm_lam": "pm_phi", "pm_phi": "pm_lam"}


def feature_matrix(stars: Table, scan: Scan, features: Sequence[Feature]) -> tuple[Array, Array]:
    """What the flows describe, and what they are conditioned on (VM1, section 3).

    Parameters
    ----------
    stars : astropy.table.Table
        Stars of a patch, with the columns ``pm_phi``, ``pm_lam`` (mas/yr) and those of the
        features: ``phi``, ``lam`` (deg), ``colour``, ``mag`` (mag).
    scan : {"pm_lam", "pm_phi"}
        The proper motion that is the condition; the feature ``pm`` is the other one.
    features : sequence of d str

    Returns
    -------
    x : ndarray of shape (N, d), float64
        NaN where the table has no value.
    condition : ndarray of shape (N, 1), float64
        mas/yr.

    Raises
    ------
    BadInputError
        If the table lacks a column.
    """
    names = [OTHER_PM[scan] if name == "pm" else name for name in features]
    missing = [name for name in [*names, scan] if name not in stars.colnames]
    if missing:
        raise BadInputError(
            f"the stars have no column {missing[0]}, which preprocess.features asks for; "
            "take it out of that list or give the catalogue's column for it"
        )
    x = np.column_stack([_plain(stars, name) for name in names])
    return x, _plain(stars, scan)[:, None]


def _plain(stars: Table, name: str) -> Array:
    """A column as a plain array; masked means NaN."""
    values: Array = np.ma.filled(np.ma.asarray(stars[name]).astype(np.float64), np.nan)
    return values
