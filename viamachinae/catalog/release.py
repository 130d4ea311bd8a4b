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
    """A release: its columns that this package uses, and what its papers say of their values.

    Attributes
    ----------
    name : str
        Name in the configuration.
    table : str
        Table of sources in the archive's TAP service.
    reference_epoch : float
        Julian year (TCB) to which the positions refer.
    columns : mapping of str to GaiaColumn
        By the name in this package.
    parallax_zero_point : ParallaxZeroPoint or None
        Global value; None where none is published.
    photometric_corrections : tuple of str
        What the literature corrects in the photometry of the archive. It is not applied: G of
        DR2 shifts by a straight line over the stars that are scored, which the scaling of the
        flows takes up.
    error_model : str
        Where it is written how far the quoted errors fall short of the true ones.
    open_points : tuple of str
        What is not settled yet; none for a published release.
    """

    name: str
    table: str
    reference_epoch: float
    columns: Mapping[str, GaiaColumn]
    parallax_zero_point: ParallaxZeroPoint | None
    photometric_corrections: tuple[str, ...]
    error_model: str
    open_points: tuple[str, ...] = ()


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


# Columns, types, units and epochs: the data model of each release in the Gaia archive's
# documentation. The quality of an astrometric solution is its RUWE. DR2 has none in gaia_source;
# it was published apart for every source with proper motions (technical note
# GAIA-C3-TN-LU-LL-124), which spares the table of normalisations that one's own would need.
GAIA_DR2 = ReleaseSchema(
    name="gaia_dr2",
    table="gaiadr2.gaia_source",
    reference_epoch=2015.5,
    columns=_columns(ruwe_table="gaiadr2.ruwe"),
    parallax_zero_point=ParallaxZeroPoint(-0.029, "Lindegren et al. 2018, A&A 616, A2 (quasars)"),
    photometric_corrections=(
        "G drifts by 3.2 mmag a magnitude and saturates at G < 6: Maiz Apellaniz & Weiler 2018, "
        "A&A 619, A180; Evans et al. 2018, A&A 616, A4",
    ),
    error_model="Lindegren et al. 2018, A&A 616, A2; Arenou et al. 2018, A&A 616, A17",
)

# The correction of G for six-parameter sources in EDR3 (Riello et al. 2021, A&A 649, A3) is in
# the values of DR3 already.
GAIA_DR3 = ReleaseSchema(
    name="gaia_dr3",
    table="gaiadr3.gaia_source",
    reference_epoch=2016.0,
    columns=_columns(),
    parallax_zero_point=ParallaxZeroPoint(-0.017, "Lindegren et al. 2021, A&A 649, A4 (quasars)"),
    photometric_corrections=(),
    error_model="Fabricius et al. 2021, A&A 649, A5",
)

# A draft, made before the release of 2 December 2026 from what ESA had announced.
GAIA_DR4 = ReleaseSchema(
    name="gaia_dr4",
    table="gaiadr4.gaia_source",
    reference_epoch=2017.5,
    columns=_columns(),
    parallax_zero_point=None,
    photometric_corrections=(),
    error_model="not published yet",
    open_points=(
        "the name of the table, and whether every column keeps its name of DR3",
        "whether RUWE stands in gaia_source, and whether 1.4 is still the limit to use",
        "the parallax zero point, global or as a function of magnitude, colour and position",
        "whether G, BP and RP need corrections, and whether bp_rp keeps its passbands",
        "how far the quoted errors fall short of the true ones",
        "whether source_id still carries the level-12 HEALPix pixel of a star",
    ),
)

RELEASES: Mapping[str, ReleaseSchema] = MappingProxyType(
    {release.name: release for release in (GAIA_DR2, GAIA_DR3, GAIA_DR4)}
)
