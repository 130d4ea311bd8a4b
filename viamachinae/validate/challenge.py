"""Grading a list of candidates against a truth: what is real in it, and what it misses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from viamachinae.config import FoundConfig
from viamachinae.validate.calibration import clopper_pearson, garwood
from viamachinae.validate.recovery import CandidateStars, Recovery, is_stream, recovery
from viamachinae.validate.truth import TrueStream


@dataclass(frozen=True)
class Grade:
    """What a list of candidates is worth.

    Attributes
    ----------
    n_skies, n_empty : int
        Skies, and those of them without a stream.
    recoveries : list of (TrueStream, Recovery)
        Every injected stream.
    n_candidates : int
        Candidates listed.
    false_by_sky : dict of str to int
        Candidates that are no stream of their sky; a second piece of a stream is not false.
    """

    n_skies: int
    n_empty: int
    recoveries: list[tuple[TrueStream, Recovery]]
    n_candidates: int
    false_by_sky: dict[str, int]

    def as_dict(self, level: float = 0.95) -> dict[str, Any]:
        """The figures by name, as JSON can say them; None where there is nothing to tell.

        Shares come with their Clopper-Pearson interval, the false candidates of a sky with the
        exact interval of a Poisson mean.
        """
        found = [one for _, one in self.recoveries if one.found]
        n_false = sum(self.false_by_sky.values())
        with_stream = {stream.sky for stream, _ in self.recoveries}
        of_empty = sum(n for sky, n in self.false_by_sky.items() if sky not in with_stream)
        return {
            "skies": self.n_skies,
            "empty_skies": self.n_empty,
            "streams": len(self.recoveries),
            "streams_found": len(found),
            "completeness": _share(len(found), len(self.recoveries), level),
            "candidates": self.n_candidates,
            "false_candidates": n_false,
            "purity": _share(self.n_candidates - n_false, self.n_candidates, level),
            "false_per_sky": _rate(n_false, self.n_skies, level),
            "false_per_empty_sky": _rate(of_empty, self.n_empty, level),
            "member_purity": _mean([one.purity for one in found]),
            "member_completeness": _mean([one.completeness for one in found]),
            "offset_deg": _mean([abs(one.position_bias_deg) for one in found]),
            "pm_offset_masyr": _mean([float(np.hypot(o.pmra_bias, o.pmdec_bias)) for o in found]),
            "by_stream": [_row(stream, one) for stream, one in self.recoveries],
        }


def grade(
    streams: Sequence[TrueStream],
    skies: Sequence[str],
    candidates: Mapping[str, Sequence[CandidateStars]],
    config: FoundConfig,
) -> Grade:
    """Grade a list.

    Parameters
    ----------
    streams : sequence of TrueStream
        All that were injected; a search is to find all of their stars.
    skies : sequence of str
        Names of all skies.
    candidates : mapping of str to sequence of CandidateStars
        The list, by sky; skies without a candidate may be left out.
    config : FoundConfig
        When a candidate is a stream; significances of different searches mean different things,
        so `min_sigma` is not asked for.
    """
    of_sky = {sky: [one for one in streams if one.sky == sky] for sky in skies}
    recoveries = [
        (one, recovery(one, one.source_id, candidates.get(one.sky, ()), config)) for one in streams
    ]
    false = {
        sky: sum(
            not any(is_stream(candidate, stream, config) for stream in of_sky[sky])
            for candidate in candidates.get(sky, ())
        )
        for sky in skies
    }
    n_candidates = sum(len(candidates.get(sky, ())) for sky in skies)
    n_empty = sum(not here for here in of_sky.values())
    return Grade(len(skies), n_empty, recoveries, n_candidates, false)


def _share(n_found: int, n: int, level: float) -> dict[str, float] | None:
    if n == 0:
        return None
    low, high = clopper_pearson(np.array(n_found), n, level)
    return {"share": n_found / n, "low": float(low), "high": float(high)}


def _rate(n_events: int, n: int, level: float) -> dict[str, float] | None:
    """A Poisson mean with its exact interval."""
    if n == 0:
        return None
    low, high = garwood(np.array(n_events), level)
    return {"rate": n_events / n, "low": float(low) / n, "high": float(high) / n}


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _row(stream: TrueStream, found: Recovery) -> dict[str, Any]:
    numbers = found._asdict()
    plain = {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in numbers.items()}
    return {
        "sky": stream.sky,
        "stream": stream.stream.name,
        "n_stars": stream.stream.n_stars,
        "width_deg": stream.stream.width_deg,
        **plain,
    }
