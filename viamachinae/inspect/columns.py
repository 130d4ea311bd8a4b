"""What pages say of a candidate in numbers and words: columns of the table, facts of the strip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Column, Row, Table

from viamachinae.inspect.vetting import Vetting


class Cell(NamedTuple):
    """A value as shown, and as sorted by: a number, or None for text."""

    text: str
    number: float | None = None


@dataclass(frozen=True)
class Shown:
    """A column of the page's table.

    Attributes
    ----------
    name : str
        Of the column of the candidates' table, or ``match``, ``verdict``, ``glon``, ``glat``.
    heading, unit : str
        As shown, without markup.
    form : str
        Format of a number; empty for text.
    needs : str
        The column without which there is nothing to show.
    meaning : str
        Shown where the pointer rests on the heading.
    """

    name: str
    heading: str
    unit: str
    form: str
    needs: str
    meaning: str


def _number(name: str, heading: str, unit: str, form: str, meaning: str) -> Shown:
    return Shown(name, heading, unit, form, name, meaning)


SHOWN = (
    _number("rank", "Rank", "", "d", "1 for the most significant candidate"),
    Shown("candidate", "Candidate", "", "", "candidate", "Name, from position and proper motion"),
    _number("sigma", "σ", "", ".1f", "Line significance, in quadrature over patches"),
    _number("p_value", "p", "", ".2g", "Chance that a scan without streams gives one of this σ"),
    _number("fdr", "FDR", "", ".2g", "Share of chance candidates among those of at least this σ"),
    _number("consistency", "Returns", "", ".2f", "Share of retrainings in which it returns"),
    Shown("match", "Match", "", "", "", "Known object, and flags that speak against the candidate"),
    Shown("verdict", "Verdict", "", "", "candidate", "What a person says of it"),
    _number("n_stars", "Line stars", "", "d", "Stars on the line, each counted once"),
    _number("n_patches", "Patches", "", "d", "Patches in which the line is found"),
    _number("f_dim", "f_dim", "", ".2f", "Share of dim line stars"),
    _number("cmd_score", "CMD", "", ".2f", "Share of random choices that a ridge line fits worse"),
    _number("distance_kpc", "Distance", "kpc", ".1f", "At which an old ridge line fits best"),
    _number("orbit_chi2", "Orbit", "", ".1f", "Reduced chi squared of the best orbit"),
    _number("ra", "RA", "deg", ".2f", "Middle of the line, ICRS"),
    _number("dec", "Dec", "deg", "+.2f", "Middle of the line, ICRS"),
    Shown("glon", "l", "deg", ".2f", "ra", "Galactic longitude of the middle of the line"),
    Shown("glat", "b", "deg", "+.2f", "ra", "Galactic latitude of the middle of the line"),
    _number("pmra", "pm RA", "mas/yr", "+.2f", "Median proper motion in ra times cos(dec)"),
    _number("pmdec", "pm Dec", "mas/yr", "+.2f", "Median proper motion in dec"),
)
FLAGS = ("edge", "bright", "clump")


def shown_columns(candidates: Table) -> list[Shown]:
    """The columns in which there is something to show of at least one candidate."""
    found = [name for name in candidates.colnames if _has_values(candidates[name])]
    has_match = "match" in found or any(flag in found for flag in FLAGS)
    shown = [one for one in SHOWN if (has_match if one.name == "match" else one.needs in found)]
    if "p_value" in found:
        return shown
    return [replace(one, unit="uncalibrated") if one.name == "sigma" else one for one in shown]


def _has_values(column: Column) -> bool:
    values = np.ma.asarray(column)
    if values.dtype.kind == "f":
        return bool(np.isfinite(values.filled(np.nan)).any())
    return bool(np.ma.count(values))


def cells(row: Row, columns: list[Shown], verdict: Vetting | None) -> list[Cell]:
    """What the columns say of a candidate."""
    return [_cell(row, column, verdict) for column in columns]


def _cell(row: Row, column: Shown, verdict: Vetting | None) -> Cell:
    special: dict[str, Callable[[], Cell]] = {
        "match": lambda: Cell(match_text(row)),
        "verdict": lambda: Cell(verdict.verdict if verdict else ""),
        "glon": lambda: _formatted(float(galactic(row).l.deg), column.form),
        "glat": lambda: _formatted(float(galactic(row).b.deg), column.form),
    }
    if column.name in special:
        return special[column.name]()
    value = row[column.name]
    if np.ma.is_masked(value):
        return Cell("–")
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, str):
        return Cell(value)
    return _formatted(value, column.form)


def _formatted(value: float, form: str) -> Cell:
    if not np.isfinite(value):
        return Cell("–")
    return Cell(format(value, form).replace("-", "−"), float(value))


def galactic(row: Row) -> SkyCoord:
    """The middle of the line in Galactic coordinates."""
    return SkyCoord(row["ra"] * u.deg, row["dec"] * u.deg).galactic


def match_text(row: Row) -> str:
    """Match and flags of a candidate in words, such as ``known: GD-1; edge``."""
    words = []
    if "match" in row.colnames:
        # Read from a text file, a name that is empty comes back masked.
        has_name = "match_name" in row.colnames and not np.ma.is_masked(row["match_name"])
        name = str(row["match_name"]) if has_name else ""
        words.append(f"{row['match']}: {name}" if name else str(row["match"]))
    words += [flag for flag in FLAGS if flag in row.colnames and row[flag]]
    return "; ".join(words) or "–"
