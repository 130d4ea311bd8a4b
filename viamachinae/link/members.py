"""Member stars of stream candidates, each star of a candidate once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.table import Table

from viamachinae.link.hough import Bools, Floats, Ints
from viamachinae.link.roi import rows_of
from viamachinae.link.streams import LinkedPatch, Protostreams, star_entries

STAR_UNITS: dict[str, u.UnitBase] = {
    "ra": u.deg,
    "dec": u.deg,
    "pmra": u.mas / u.yr,
    "pmdec": u.mas / u.yr,
    "phot_g_mean_mag": u.mag,
    "bp_rp": u.mag,
}
# Beside these where the stars of all patches have them: free of extinction.
INTRINSIC = {
    "colour": "Gaia colour BP - RP, free of extinction",
    "mag": "Gaia G magnitude, free of extinction",
}
MEMBERSHIP = "Probability to belong to the stream, by place across its line and proper motion"


class Members(NamedTuple):
    """Stars of the ROIs' lists of candidates: arrays of shape (n,), by candidate and source_id.

    Attributes
    ----------
    candidate, source_id : int64
        Number of the candidate, and the star.
    on_line : bool
        Whether it lies on the line of the candidate's best protocluster in a patch.
    log_ratio : float64
        The largest in the candidate's ROIs.
    star : dict of str to float64
        The columns of `STAR_UNITS`, and those of `INTRINSIC` where there are such.
    """

    candidate: Ints
    source_id: Ints
    on_line: Bools
    log_ratio: Floats
    star: dict[str, Floats]


def gather_members(
    linked: Sequence[LinkedPatch], found: Protostreams, label: Ints, best: Ints
) -> Members:
    """The member stars of all candidates.

    Parameters
    ----------
    linked : sequence of LinkedPatch
        All patches.
    found : Protostreams
        Of these patches.
    label : int64 array of shape (n_protostreams,)
        Number of each protostream's candidate.
    best : int64 array
        The protostreams whose line stars are on the line.
    """
    none = np.empty(0, dtype=np.int64)
    names = list(STAR_UNITS)
    if linked and all(set(INTRINSIC) <= set(one.stars.colnames) for one in linked):
        names += INTRINSIC
    parts = [
        Members(none, none, none.astype(np.bool_), np.empty(0), dict.fromkeys(names, np.empty(0)))
    ]
    parts += [_in_patch(one, i, found, label, best, names) for i, one in enumerate(linked)]
    candidate = np.concatenate([part.candidate for part in parts])
    source_id = np.concatenate([part.source_id for part in parts])
    order = np.lexsort((source_id, candidate))
    place = np.column_stack([candidate, source_id])[order]
    new = np.any(np.diff(place, axis=0, prepend=-1) != 0, axis=1)
    group, first = np.cumsum(new) - 1, order[new]
    on_line = np.zeros(len(first), dtype=np.bool_)
    np.logical_or.at(on_line, group, np.concatenate([part.on_line for part in parts])[order])
    log_ratio = np.full(len(first), -np.inf)
    np.maximum.at(log_ratio, group, np.concatenate([part.log_ratio for part in parts])[order])
    star = {name: np.concatenate([p.star[name] for p in parts])[first] for name in names}
    return Members(candidate[first], source_id[first], on_line, log_ratio, star)


def _in_patch(
    one: LinkedPatch,
    position: int,
    found: Protostreams,
    label: Ints,
    best: Ints,
    names: Sequence[str],
) -> Members:
    """The entries of all lists of a patch's protoclusters; stars may come more than once."""
    entries = star_entries(one.protoclusters)
    row = rows_of(one.stars, entries.source_id, "protoclusters.parquet")
    of_line = found.best[best[found.patch[best] == position]]
    return Members(
        candidate_of(one, position, found, label)[entries.protocluster],
        entries.source_id,
        entries.on_line & np.isin(entries.protocluster, of_line),
        entries.log_ratio,
        {name: np.asarray(one.stars[name], dtype=np.float64)[row] for name in names},
    )


def candidate_of(one: LinkedPatch, position: int, found: Protostreams, label: Ints) -> Ints:
    """Number of the candidate of each protocluster of the patch at `position`."""
    here = np.flatnonzero(found.patch == position)
    number = np.asarray(one.protoclusters["protostream"])
    return label[here[np.searchsorted(found.number[here], number)]]


def member_table(members: Members, names: Sequence[str], membership: Floats) -> Table:
    """The members as a table with units; `names` are those of the candidates."""
    columns = {
        "candidate": np.array(names, dtype=np.str_)[members.candidate],
        "source_id": members.source_id,
        **members.star,
        "log_ratio": members.log_ratio,
        "on_line": members.on_line,
        "membership": membership,
    }
    units = {name: STAR_UNITS.get(name, u.mag) for name in members.star}
    texts = {name: text for name, text in INTRINSIC.items() if name in members.star}
    return Table(columns, units=units, descriptions={"membership": MEMBERSHIP, **texts})
