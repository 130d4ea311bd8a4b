"""What speaks for and against each stream candidate: columns beside its significance."""

from __future__ import annotations

from collections.abc import Mapping

import astropy.units as u
import numpy as np
from astropy.table import Column, Table

from viamachinae.catalog.known import known_objects
from viamachinae.config import LinkConfig
from viamachinae.inspect.comparison import rows_by_name
from viamachinae.link.candidates import Candidates
from viamachinae.link.clumps import densest_share
from viamachinae.link.crossmatch import NEW, LineStars, crossmatch
from viamachinae.link.hough import Floats, Ints
from viamachinae.link.members import INTRINSIC
from viamachinae.link.ridge import fit_ridge
from viamachinae.score.seeds import seed_sequence
from viamachinae.sky import direction

_MASYR = u.mas / u.yr
# Columns: type, unit and meaning.
EVIDENCE: dict[str, tuple[type, u.UnitBase | None, str]] = {
    "match": (np.str_, None, "known, extension, near cluster, near dwarf or new"),
    "match_name": (np.str_, None, "Name of the known object"),
    "match_separation_deg": (np.float64, u.deg, "Median distance of the line stars from it"),
    "match_pm_difference": (np.float64, _MASYR, "Length of the median difference of motion"),
    "match_share": (np.float64, None, "Share of the line stars at it"),
    "match_n_shared": (np.float64, None, "Line stars among its members; NaN without a list"),
    "f_dim": (np.float64, None, "Share of the line stars fainter than link.candidates.dim_mag"),
    "bright": (np.bool_, None, "Whether that share is link.candidates.min_dim_share or less"),
    "clump_share": (np.float64, None, "Largest share of the line stars in one small disc"),
    "clump": (np.bool_, None, "Whether that share is the one of a clump"),
    "distance_kpc": (np.float64, u.kpc, "Distance at which an old ridge line fits best"),
    "cmd_score": (np.float64, None, "Share of random choices of stars that it fits worse"),
}


def evidence(
    found: Candidates, config: LinkConfig, seed: int, members: Mapping[str, Ints] | None = None
) -> Table:
    """The candidates with the columns of `EVIDENCE`.

    Parameters
    ----------
    found : Candidates
        Candidates and their stars.
    config : LinkConfig
        Its `candidates`, `clumps`, `crossmatch` and `ridge`.
    seed : int
        Of the scan; with a candidate's name it decides the null of its `cmd_score`.
    members : mapping of str to int64 array, optional
        ``source_id`` of the members of known objects, by name.
    """
    table = found.candidates.copy()
    rows = []
    names = list(map(str, table["candidate"]))
    for name, own in zip(names, rows_by_name(names, found.members["candidate"]), strict=True):
        rows.append(_of_one(name, found.members[own], config, seed, members or {}))
    for name, (dtype, unit, text) in EVIDENCE.items():
        values = [row[name] for row in rows]
        table[name] = Column(values, dtype=dtype, unit=unit, description=text)
    return table


def _of_one(
    name: str, stars: Table, config: LinkConfig, seed: int, members: Mapping[str, Ints]
) -> dict[str, object]:
    on_line = np.asarray(stars["on_line"], dtype=np.bool_)
    free = set(INTRINSIC) <= set(stars.colnames)
    bands = ("mag", "colour") if free else ("phot_g_mean_mag", "bp_rp")
    g_mag, bp_rp = (_values(stars, band) for band in bands)
    line = LineStars(
        np.asarray(stars["source_id"], dtype=np.int64)[on_line],
        *(_values(stars, key)[on_line] for key in ("ra", "dec", "pmra", "pmdec")),
    )
    match = crossmatch(line, known_objects(), config.crossmatch, members) if len(line.ra) else NEW
    chord = 2 * np.sin(np.radians(config.clumps.radius_deg) / 2)
    share = densest_share(direction(line.ra, line.dec), chord)
    rng = np.random.default_rng(seed_sequence(seed, "ridge", name))
    dim = dim_share(g_mag[on_line], config.candidates.dim_mag)
    fit = fit_ridge(g_mag, bp_rp, on_line, config.ridge, rng)
    return {
        "match": match.match,
        "match_name": match.name,
        "match_separation_deg": match.separation_deg,
        "match_pm_difference": match.pm_difference,
        "match_share": match.share,
        "match_n_shared": match.n_shared,
        "f_dim": dim,
        "bright": dim <= config.candidates.min_dim_share,
        "clump_share": share,
        "clump": share > config.clumps.max_share,
        "distance_kpc": fit.distance_kpc,
        "cmd_score": fit.score,
    }


def dim_share(g_mag: Floats, dim_mag: float) -> float:
    """f_dim: share of stars fainter than `dim_mag` among those with a magnitude (VM3)."""
    known = g_mag[np.isfinite(g_mag)]
    return float(np.mean(known > dim_mag)) if len(known) else float("nan")


def _values(stars: Table, name: str) -> Floats:
    return np.asarray(stars[name], dtype=np.float64)
