"""Consistency: in how many independent trainings a candidate is found again (Porto & Shih 2025).

The scores of a scan are means over several trainings, which differ by their seeds alone. Each
training by itself gives a list of candidates too. What the stars hold comes back in all of them;
what chance has made of one network does not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from astropy.table import Column, Table

from viamachinae.inspect.comparison import line_stars, rows_by_name
from viamachinae.link.candidates import Candidates
from viamachinae.link.hough import Floats, Ints
from viamachinae.link.protostreams import shared_stars

MEANING = "Share of the trainings in which it returns; NaN where there was but one"


def scores_of(scores: pa.Table, retraining: int | None) -> pa.Table:
    """The scores of one training in the place of those of all.

    Parameters
    ----------
    scores : pyarrow.Table
        With ``log_ratio``, and ``log_ratio_0`` and so on.
    retraining : int or None
        None leaves them as they are.
    """
    if retraining is None:
        return scores
    own = scores[f"log_ratio_{retraining}"]
    return scores.set_column(scores.column_names.index("log_ratio"), "log_ratio", own)


def consistency(found: Candidates, again: Sequence[Sequence[Ints]], min_shared: float) -> Floats:
    """Share of the trainings in which each candidate returns.

    It returns where a candidate of that training shares with it more than a given share of the
    line stars of the one with fewer: the rule by which protostreams of two patches are one.

    Parameters
    ----------
    found : Candidates
        By the scores of all trainings.
    again : sequence of sequences of int64 arrays
        The line stars of the candidates by those of each; see `candidates.candidate_line_stars`.
    min_shared : float
        0 to 1.

    Returns
    -------
    float64 array of shape (n_candidates,)
        NaN where there is no list to compare with.
    """
    own = line_stars(found.candidates, found.members)
    if not again:
        return np.full(len(own), np.nan)
    returns = np.zeros(len(own))
    for other in again:
        both = [*own, *other]
        first, second, shared = shared_stars(both)
        size = np.array([len(stars) for stars in both], dtype=np.int64)
        enough = shared > min_shared * np.minimum(size[first], size[second])
        across = (first < len(own)) & (second >= len(own))
        returns[np.unique(first[enough & across])] += 1
    return returns / len(again)


def with_consistency(
    found: Candidates, again: Sequence[Sequence[Ints]], min_shared: float
) -> Candidates:
    """The candidates with the column ``consistency``, ranked by sigma times it.

    Where there is no list to compare with, the column is NaN and the order is that of sigma. The
    parameters are those of `consistency`.
    """
    share = consistency(found, again, min_shared)
    sigma = np.asarray(found.candidates["sigma"])
    order = np.argsort(-sigma * np.nan_to_num(share, nan=1.0), kind="stable")
    candidates = found.candidates[order]
    candidates["rank"] = np.arange(1, len(order) + 1)
    candidates["consistency"] = Column(share[order], description=MEANING)
    members, lineage = (_in_order(one, candidates) for one in (found.members, found.lineage))
    return Candidates(candidates, members, lineage)


def _in_order(table: Table, candidates: Table) -> Table:
    rows = rows_by_name(candidates["candidate"], table["candidate"])
    return table[np.concatenate([np.empty(0, dtype=np.int64), *rows])]
