"""What a Gaia release calls its columns, and in which units and types it gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import astropy.units as u
import numpy as np


@dataclass(frozen=True)
class GaiaColumn:
    """One column of a release.

    Attributes
    ----------
    name : str
        As in ``gaia_source``.
    dtype : numpy.dtype
        As the archive stores it; this package works in float64 and int64.
    unit : astropy.units.UnitBase or None
        None for identifiers and pure numbers.
    """

    name: str
    dtype: np.dtype[np.generic]
    unit: u.UnitBase | None


@dataclass(frozen=True)
class ReleaseSchema:
    """The columns of a release that this package uses.

    Attributes
    ----------
    name : str
        Name in the configuration.
    reference_epoch : float
        Julian year (TCB) to which the positions refer.
    columns : mapping of str to GaiaColumn
        By column name.
    """

    name: str
    reference_epoch: float
    columns: Mapping[str, GaiaColumn]


def _schema(
    name: str, reference_epoch: float, *columns: tuple[str, str, u.UnitBase | None]
) -> ReleaseSchema:
    by_name = {column: GaiaColumn(column, np.dtype(dtype), unit) for column, dtype, unit in columns}
    return ReleaseSchema(name, reference_epoch, MappingProxyType(by_name))


_PM = u.mas / u.yr
_IN_ALL_RELEASES: tuple[tuple[str, str, u.UnitBase | None], ...] = (
    ("source_id", "int64", None),
    ("ra", "float64", u.deg),
    ("dec", "float64", u.deg),
    ("parallax", "float64", u.mas),
    ("parallax_error", "float32", u.mas),
    ("pmra", "float64", _PM),
    ("pmra_error", "float32", _PM),
    ("pmdec", "float64", _PM),
    ("pmdec_error", "float32", _PM),
    ("phot_g_mean_mag", "float32", u.mag),
    ("bp_rp", "float32", u.mag),
)

# Gaia archive data model, table gaia_source of each release. The DR2 table has no ruwe: it was
# published apart, in gaiadr2.ruwe.
GAIA_DR2 = _schema("gaia_dr2", 2015.5, *_IN_ALL_RELEASES)
GAIA_DR3 = _schema("gaia_dr3", 2016.0, *_IN_ALL_RELEASES, ("ruwe", "float32", None))

RELEASES: Mapping[str, ReleaseSchema] = MappingProxyType(
    {"gaia_dr2": GAIA_DR2, "gaia_dr3": GAIA_DR3}
)
