"""The final tables: candidates and member stars, with fixed columns, units and types."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import Column, Table
from astropy.table.meta import get_yaml_from_table

from viamachinae.inspect.formats import ecsv

MASYR = u.mas / u.yr


class Field(NamedTuple):
    """A column of a final table: its name, type, unit, meaning, and UCD (IVOA UCD1+)."""

    name: str
    dtype: type
    unit: u.UnitBase | None
    description: str
    ucd: str


CANDIDATES = (
    Field("candidate", np.str_, None, "Name of the stream candidate", "meta.id;meta.main"),
    Field("rank", np.int64, None, "1 for the most significant candidate", "stat.rank"),
    Field("sigma", np.float64, None, "Line significance, in quadrature over patches", "stat.snr"),
    Field("n_stars", np.int64, None, "Stars on the line, each counted once", "meta.number"),
    Field("n_patches", np.int64, None, "Patches in which the line is found", "meta.number"),
    Field(
        "ra",
        np.float64,
        u.deg,
        "Right ascension of the middle of the line, ICRS",
        "pos.eq.ra;meta.main",
    ),
    Field(
        "dec",
        np.float64,
        u.deg,
        "Declination of the middle of the line, ICRS",
        "pos.eq.dec;meta.main",
    ),
    Field(
        "pmra", np.float64, MASYR, "Median proper motion in ra times cos(dec)", "pos.pm;pos.eq.ra"
    ),
    Field("pmdec", np.float64, MASYR, "Median proper motion in dec", "pos.pm;pos.eq.dec"),
)

MEMBERS = (
    Field("candidate", np.str_, None, "Name of the stream candidate", "meta.id.parent"),
    Field(
        "source_id", np.int64, None, "Identifier of the star in its catalogue", "meta.id;meta.main"
    ),
    Field("ra", np.float64, u.deg, "Right ascension, ICRS", "pos.eq.ra;meta.main"),
    Field("dec", np.float64, u.deg, "Declination, ICRS", "pos.eq.dec;meta.main"),
    Field("pmra", np.float64, MASYR, "Proper motion in ra times cos(dec)", "pos.pm;pos.eq.ra"),
    Field("pmdec", np.float64, MASYR, "Proper motion in dec", "pos.pm;pos.eq.dec"),
    Field(
        "phot_g_mean_mag",
        np.float64,
        u.mag,
        "Gaia G magnitude; NaN where there is none",
        "phot.mag;em.opt",
    ),
    Field(
        "bp_rp",
        np.float64,
        u.mag,
        "Gaia colour BP - RP; NaN where there is none",
        "phot.color;em.opt.B;em.opt.R",
    ),
    Field("log_ratio", np.float64, None, "Natural log of the anomaly score R", "stat.likelihood"),
    Field(
        "on_line",
        np.bool_,
        None,
        "True for a star on the line, False for one beside it",
        "meta.code",
    ),
)

# Of columns that a table may have beyond these.
EXTRA_UCDS = {
    "p_value": "stat.probability",
    "p_local": "stat.probability",
    "fdr": "stat.probability",
    "expected_false": "meta.number;stat.mean",
    "expected_false_low": "meta.number;stat.min",
    "expected_false_high": "meta.number;stat.max",
    "consistency": "stat.value",
    "membership": "stat.probability",
    "match": "meta.code.class",
    "match_name": "meta.id.cross",
    "match_separation_deg": "pos.angDistance",
    "match_pm_difference": "pos.pm",
    "match_share": "stat.value",
    "match_n_shared": "meta.number",
    "edge": "meta.code",
    "f_dim": "stat.value",
    "bright": "meta.code",
    "clump": "meta.code",
    "clump_share": "stat.value",
    "distance_kpc": "pos.distance",
    "cmd_score": "stat.fit.goodness",
    "orbit_chi2": "stat.fit.chi2",
    "orbit_distance_kpc": "pos.distance",
    "orbit_rv_kms": "spect.dopplerVeloc",
    "ra_error": "stat.error;pos.eq.ra",
    "dec_error": "stat.error;pos.eq.dec",
    "parallax": "pos.parallax",
    "parallax_error": "stat.error;pos.parallax",
    "pmra_error": "stat.error;pos.pm;pos.eq.ra",
    "pmdec_error": "stat.error;pos.pm;pos.eq.dec",
    "phi1": "pos.angDistance",
    "phi2": "pos.angDistance",
    "pm_phi1": "pos.pm",
    "pm_phi2": "pos.pm",
    "n_regions": "meta.number",
    "regions": "meta.note",
}


def conform(table: Table, fields: Sequence[Field]) -> Table:
    """A copy of `table` that begins with exactly `fields`; columns beyond them follow as given.

    Columns that have a unit are converted to the field's unit, others are taken to be in it.
    A masked float becomes NaN.

    Raises
    ------
    ValueError
        If a column is missing, is masked and not a float, or cannot be held by the field's type
        without loss.
    """
    missing = [field.name for field in fields if field.name not in table.colnames]
    if missing:
        raise ValueError(f"the table lacks the columns {', '.join(missing)}")
    result = Table([_column(table, field) for field in fields])
    for name in table.colnames:
        if name not in result.colnames:
            result[name] = table[name].copy()
            if name in EXTRA_UCDS:
                result[name].meta.setdefault("ucd", EXTRA_UCDS[name])
    return result


def _column(table: Table, field: Field) -> Column:
    given = table[field.name]
    masked = np.ma.asarray(given)
    if masked.dtype.kind != "f" and np.ma.is_masked(masked):
        raise ValueError(f"column {field.name} has masked rows; only a float may lack a value")
    data = masked.filled(np.nan) if masked.dtype.kind == "f" else np.ma.getdata(masked)
    if field.unit is not None and given.unit is not None:
        data = given.unit.to(field.unit, data)
    # A table without rows often carries no type worth keeping, as Table(names=...) does.
    if len(data) and not _holds(data.dtype, field.dtype):
        raise ValueError(f"column {field.name} is {data.dtype}, not {field.dtype.__name__}")
    return Column(
        data.astype(field.dtype),
        field.name,
        unit=field.unit,
        description=field.description,
        meta={"ucd": field.ucd},
    )


def _holds(given: np.dtype, wanted: type) -> bool:
    if np.dtype(wanted).kind == "U":
        return given.kind == "U"
    return np.can_cast(given, wanted, "safe")


def candidates_ecsv(table: Table) -> str:
    """The text of ``candidates.ecsv``, sorted by rank.

    Parameters
    ----------
    table : Table
        Stream candidates with at least the columns of `CANDIDATES`.

    Raises
    ------
    ValueError
        As `conform`, and if the ranks are not 1 to n or a name occurs twice.
    """
    return ecsv(ranked(table))


def ranked(table: Table) -> Table:
    """Stream candidates with the columns of `CANDIDATES`, sorted by rank; raises as above."""
    result = conform(table, CANDIDATES)
    result.sort("rank")
    if not np.array_equal(result["rank"], np.arange(1, len(result) + 1)):
        raise ValueError("the ranks of the candidates are not 1 to n, each once")
    if len(set(result["candidate"])) < len(result):
        raise ValueError("two candidates share a name")
    return result


def members_parquet(table: Table) -> bytes:
    """The bytes of ``members.parquet``, rows in the order given.

    Units and descriptions travel twice: in the metadata of the Arrow fields, for any reader, and
    in astropy's own, so that `Table.read` restores them.

    Parameters
    ----------
    table : Table
        Stars of the candidates with at least the columns of `MEMBERS`.

    Raises
    ------
    ValueError
        As `conform`, and if a candidate holds a star twice.
    """
    result = conform(table, MEMBERS)
    pairs = set(zip(result["candidate"], result["source_id"], strict=True))
    if len(pairs) < len(result):
        raise ValueError("a candidate holds a star twice")
    arrays = [pa.array(np.asarray(column)) for column in result.itercols()]
    schema = pa.schema(
        [
            pa.field(column.name, array.type, metadata=_field_metadata(column))
            for column, array in zip(result.itercols(), arrays, strict=True)
        ],
        metadata=_astropy_metadata(result),
    )
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), sink)
    return sink.getvalue()


def _field_metadata(column: Column) -> dict[str, str]:
    unit = "" if column.unit is None else column.unit.to_string("vounit")
    return {"unit": unit, "description": column.description or ""}


def _astropy_metadata(table: Table) -> dict[str, str]:
    """What astropy's Parquet reader looks for: its YAML header and the lengths of strings."""
    lengths = {
        f"table::len::{column.name}": str(column.dtype.itemsize // 4)
        for column in table.itercols()
        if column.dtype.kind == "U"
    }
    return {"table_meta_yaml": "\n".join(get_yaml_from_table(table)), **lengths}
