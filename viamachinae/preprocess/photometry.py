"""Colour and magnitude: which columns give them, and what else is asked of a catalogue."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from viamachinae.config import ColumnEbv, PreprocessConfig
from viamachinae.errors import BadInputError
from viamachinae.preprocess.extinction import deredden, ebv_of, law_of


def photometric_columns(config: PreprocessConfig) -> dict[str, str]:
    """The column that is the ``colour`` and the one that is the ``mag``."""
    return {"colour": config.colour_column, "mag": config.mag_column}


def photometric_names(config: PreprocessConfig) -> dict[str, str]:
    """What ``colour`` and ``mag`` are, in words: their columns, and whether freed of dust."""
    what = "dereddened " if config.dereddens else ""
    return {feature: what + name for feature, name in photometric_columns(config).items()}


def require_features(config: PreprocessConfig, available: Collection[str], source: str) -> None:
    """Refuse a catalogue that lacks a column of a configured feature, or of its dereddening.

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
    for column in dereddening_columns(config):
        if column not in available:
            raise BadInputError(
                f"{source} has no column '{column}', which preprocess.ebv needs; give it with "
                f"query.columns: {{{column}: <name>}}, or set preprocess.ebv to {{source: none}}"
            )


def dereddening_columns(config: PreprocessConfig) -> list[str]:
    """The columns without which nothing can be dereddened."""
    if not config.dereddens:
        return []
    own = [config.ebv.column_name] if isinstance(config.ebv, ColumnEbv) else []
    return [*photometric_columns(config).values(), *own]


def photometry(
    stars: Table, config: PreprocessConfig, release: str
) -> dict[str, NDArray[np.float64]]:
    """``colour`` and ``mag`` of the stars (mag, shape (n,)), each only where it has a column.

    Where they are dereddened, ``ebv`` (mag) comes with them: NaN, as are colour and magnitude,
    where it is not known or too large to be corrected for.

    Raises
    ------
    BadInputError
        If a map of E(B-V) cannot be read, or no law is known for the release.
    """
    observed = {
        feature: np.asarray(stars[column], dtype=np.float64)
        for feature, column in photometric_columns(config).items()
        if column in stars.colnames
    }
    if not config.dereddens:
        return observed
    ebv = ebv_of(stars, config)
    freed = deredden(law_of(config, release), observed["colour"], observed["mag"], ebv)
    return {**freed._asdict(), "ebv": ebv}
