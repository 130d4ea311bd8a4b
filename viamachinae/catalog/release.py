"""What a Gaia release calls its tables and columns, and what is known of their values."""

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
        What this package calls it: its name in Gaia DR3's ``gaia_source``.
    dtype : numpy.dtype
        As the archive stores it; this package works in float64 and int64.
    unit : astropy.units.UnitBase or None
        None for identifiers and pure numbers.
    own_name : str
        What the release itself calls it.
    table : str
        Table that holds it, where that is not the release's table of sources.
    """

    name: str
    dtype: np.dtype[np.generic]
    unit: u.UnitBase | None
    own_name: str
    table: str = ""


@dataclass(frozen=True)
class ParallaxZeroPoint:
    """The parallax that a source at infinity has on average.

    Attributes
    ----------
    value_mas : float
        To be subtracted from a parallax of the archive, mas.
    reference : str
        Where it was measured.
    """

    value_mas: float
    reference: str


@dataclass(frozen=True)
class ReleaseSchema:
    """A release: its columns that this package uses, and its parallax zero point.

    Attributes
    ----------
    name : str
        Name in the configuration.
    table : str
        Table of sources in the archive's TAP service.
    columns : mapping of str to GaiaColumn
        By the name in this package.
    parallax_zero_point : ParallaxZeroPoint or None
        Global value; None where none is published.
    """

    name: str
    table: str
    columns: Mapping[str, GaiaColumn]
    parallax_zero_point: ParallaxZeroPoint | None


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


def _columns(ruwe_table: str = "") -> Mapping[str, GaiaColumn]:
    common = [
        GaiaColumn(name, np.dtype(dtype), unit, own_name=name)
        for name, dtype, unit in _IN_ALL_RELEASES
    ]
    ruwe = GaiaColumn("ruwe", np.dtype(np.float32), None, own_name="ruwe", table=ruwe_table)
    return MappingProxyType({column.name: column for column in (*common, ruwe)})


# Columns, types and units: the data model of each release in the Gaia archive's
# documentation. The quality of an astrometric solution is its RUWE. DR2 has none in gaia_source;
# it was published apart for every source with proper motions (technical note
# GAIA-C3-TN-LU-LL-124), which spares the table of normalisations that one's own would need.
GAIA_DR2 = ReleaseSchema(
    name="gaia_dr2",
    table="gaiadr2.gaia_source",
    columns=_columns(ruwe_table="gaiadr2.ruwe"),
    parallax_zero_point=ParallaxZeroPoint(-0.029, "Lindegren et al. 2018, A&A 616, A2 (quasars)"),
)

GAIA_DR3 = ReleaseSchema(
    name="gaia_dr3",
    table="gaiadr3.gaia_source",
    columns=_columns(),
    parallax_zero_point=ParallaxZeroPoint(-0.017, "Lindegren et al. 2021, A&A 649, A4 (quasars)"),
)

# A draft, made before the release of 2 December 2026 from what ESA had announced; docs/archive.md
# lists what is open.
GAIA_DR4 = ReleaseSchema(
    name="gaia_dr4",
    table="gaiadr4.gaia_source",
    columns=_columns(),
    parallax_zero_point=None,
)

RELEASES: Mapping[str, ReleaseSchema] = MappingProxyType(
    {release.name: release for release in (GAIA_DR2, GAIA_DR3, GAIA_DR4)}
)
