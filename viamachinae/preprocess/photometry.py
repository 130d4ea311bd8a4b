"""Colour and magnitude: which columns give them, and what else is asked of a catalogue."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from viamachinae.config import PreprocessConfig
from viamachinae.errors import BadInputError


def photometric_columns(config: PreprocessConfig) -> dict[str, str]:
    """The column that is the ``colour`` and the one that is the ``mag``."""
    return {"colour": config.colour_column, "mag": config.mag_column}


def require_features(config: PreprocessConfig, available: Collection[str], source: str) -> None:
    """Refuse a catalogue that lacks a column of a configured feature.

    Raises
    ------
    BadInputError
        Naming the source, the column and the feature.
    """
    for feature, column in photometric_columns(config).items():
        if feature in config.features and column not in available:
            raise BadInputError(
                f"{source} has no column '{column}', which the feature {feature} needs; give it "
                f"with query.columns: {{{column}: <name>}} or preprocess.{feature}_column, or "
                f"take {feature} out of preprocess.features"
            )


def photometry(stars: Table, config: PreprocessConfig) -> dict[str, NDArray[np.float64]]:
    """``colour`` and ``mag`` of the stars (mag, shape (n,)), each only where it has a column."""
    return {
        feature: np.asarray(stars[column], dtype=np.float64)
        for feature, column in photometric_columns(config).items()
        if column in stars.colnames
    }
