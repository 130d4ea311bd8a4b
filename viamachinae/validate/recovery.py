"""Whether an injected stream was found, and how well.

A candidate is a stream if enough of its line stars are the stream's, in number and as a share,
and if the median distance of its line stars from the stream's track is small
(`viamachinae.config.FoundConfig`). How significant it must be is for the caller to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from viamachinae.config import FoundConfig
from viamachinae.validate.truth import Array, Ints, TrueStream


class CandidateStars(NamedTuple):
    """The line stars of a candidate, each once.

    `sigma` is NaN where its list gives none; `source_id` is an int64 array of shape (n,), the
    others are float64 arrays of shape (n,): deg, and mas/yr.
    """

    name: str
    sigma: float
    source_id: Ints
    ra: Array
    dec: Array
    pmra: Array
    pmdec: Array


class Recovery(NamedTuple):
    """How a stream was found: by its most significant candidate; NaN and 0 where by none.

    Attributes
    ----------
    found : bool
    candidate : str
    sigma : float
    n_line, n_shared : int
        Line stars of the candidate, and those of them that are the stream's.
    purity, completeness : float
        `n_shared` over the line stars, and over the stars of the stream that were to be found.
    position_bias_deg : float
        Median distance of the line stars from the track, positive to its left, deg.
    pmra_bias, pmdec_bias : float
        Median of the line stars' proper motions less the stream's where they are, mas/yr.
    n_pieces : int
        Candidates that are the stream.
    """

    found: bool
    candidate: str
    sigma: float
    n_line: int
    n_shared: int
    purity: float
    completeness: float
    position_bias_deg: float
    pmra_bias: float
    pmdec_bias: float
    n_pieces: int


MISSED = Recovery(False, "", np.nan, 0, 0, np.nan, 0.0, np.nan, np.nan, np.nan, 0)


def is_stream(candidate: CandidateStars, stream: TrueStream, config: FoundConfig) -> bool:
    """Whether a candidate is a stream; see the head of this module."""
    n_line = len(candidate.source_id)
    n_shared = np.count_nonzero(np.isin(candidate.source_id, stream.source_id))
    if n_shared < config.min_shared or n_shared < config.min_purity * n_line:
        return False
    _, across = stream.place(candidate.ra, candidate.dec)
    return bool(np.median(np.abs(across)) <= config.max_offset_deg)


def recovery(
    stream: TrueStream,
    to_find: Ints,
    candidates: Sequence[CandidateStars],
    config: FoundConfig,
) -> Recovery:
    """How a stream was found among candidates.

    Parameters
    ----------
    stream : TrueStream
    to_find : int64 array of shape (n,)
        Those of its stars that a search could find; completeness is their share.
    candidates : sequence of CandidateStars
    config : FoundConfig
    """
    its_own = [one for one in candidates if is_stream(one, stream, config)]
    if not its_own:
        return MISSED
    best = max(its_own, key=lambda one: -np.inf if np.isnan(one.sigma) else one.sigma)
    shared = np.isin(best.source_id, stream.source_id)
    n_line, n_shared = len(best.source_id), int(shared.sum())
    n_found = np.count_nonzero(np.isin(to_find, best.source_id))
    _, across = stream.place(best.ra, best.dec)
    pmra, pmdec = stream.motion(best.ra, best.dec)
    return Recovery(
        True,
        best.name,
        best.sigma,
        n_line,
        n_shared,
        n_shared / n_line,
        n_found / max(len(to_find), 1),
        float(np.median(across)),
        float(np.median(best.pmra - pmra)),
        float(np.median(best.pmdec - pmdec)),
        len(its_own),
    )
