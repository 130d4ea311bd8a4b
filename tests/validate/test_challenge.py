"""Recovery of streams and grades of lists: perfect, random, and broken to pieces."""

from __future__ import annotations

import numpy as np
import pytest

from viamachinae.config import FoundConfig
from viamachinae.errors import BadInputError
from viamachinae.validate.challenge import grade
from viamachinae.validate.injection import draw_streams_at_random, inject
from viamachinae.validate.recovery import CandidateStars, recovery
from viamachinae.validate.truth import TrueStream, read_truth, true_streams, truth_text

FOUND = FoundConfig()


@pytest.fixture(scope="module")
def drawn(footprint, options):
    rng = np.random.default_rng(3)
    streams = draw_streams_at_random(options, ["a"], footprint, rng)
    return inject(streams, footprint, np.empty(0, dtype=np.int64), 20.0, "gaia_dr3", rng)


@pytest.fixture(scope="module")
def stream(drawn) -> TrueStream:
    return true_streams(drawn, "s1")[0]


def candidate(drawn, kept: slice, sigma: float = 10.0, shift_deg: float = 0.0) -> CandidateStars:
    c = {name: column[kept] for name, column in drawn.columns.items()}
    return CandidateStars(
        f"c{sigma}", sigma, c["source_id"], c["ra"], c["dec"] + shift_deg, c["pmra"], c["pmdec"]
    )


def strangers(n: int, seed: int = 0) -> CandidateStars:
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(145, 155, n), rng.uniform(25, 35, n)
    return CandidateStars("r", 20.0, np.arange(n), ra, dec, np.zeros(n), np.zeros(n))


def test_a_perfect_list_has_purity_and_completeness_one(drawn, stream) -> None:
    found = recovery(stream, stream.source_id, [candidate(drawn, slice(None))], FOUND)
    assert (found.found, found.purity, found.completeness) == (True, 1.0, 1.0)
    assert abs(found.position_bias_deg) < 0.05
    assert np.hypot(found.pmra_bias, found.pmdec_bias) < 0.1
    figures = grade([stream], ["s1", "s2"], {"s1": [candidate(drawn, slice(None))]}, FOUND)
    told = figures.as_dict()
    assert told["purity"]["share"] == told["completeness"]["share"] == 1.0
    assert (told["member_purity"], told["member_completeness"]) == (1.0, 1.0)
    assert told["false_per_sky"]["rate"] == told["false_per_empty_sky"]["rate"] == 0.0


def test_a_random_list_finds_nothing_and_all_of_it_is_false(stream) -> None:
    lists = {sky: [strangers(100, i) for i in range(3)] for sky in ("s1", "s2")}
    told = grade([stream], ["s1", "s2"], lists, FOUND).as_dict()
    assert told["purity"]["share"] == told["completeness"]["share"] == 0.0
    assert told["false_per_sky"]["rate"] == told["false_per_empty_sky"]["rate"] == 3.0
    # Six events: the exact interval of a Poisson mean is 2.20 to 13.06 (Garwood 1936).
    assert told["false_per_sky"]["low"] == pytest.approx(2.202 / 2, abs=1e-3)
    assert told["false_per_sky"]["high"] == pytest.approx(13.059 / 2, abs=1e-3)


def test_a_second_piece_is_not_false_and_the_best_one_counts(drawn, stream) -> None:
    pieces = [candidate(drawn, slice(0, 50), 9.0), candidate(drawn, slice(50, 200), 12.0)]
    found = recovery(stream, stream.source_id, pieces, FOUND)
    assert (found.candidate, found.n_pieces, found.n_shared) == ("c12.0", 2, 150)
    assert found.completeness == pytest.approx(0.5)
    assert grade([stream], ["s1"], {"s1": pieces}, FOUND).as_dict()["false_candidates"] == 0


@pytest.mark.parametrize("why", ["few", "impure", "elsewhere"])
def test_what_is_not_the_stream(drawn, stream, why: str) -> None:
    few = candidate(drawn, slice(0, 4))
    one, other = candidate(drawn, slice(0, 20)), strangers(60)
    impure = CandidateStars(
        "m", 9.0, *(np.concatenate(p) for p in zip(one[2:], other[2:], strict=True))
    )
    listed = {"few": few, "impure": impure, "elsewhere": candidate(drawn, slice(None), 9.0, 6.0)}
    assert not recovery(stream, stream.source_id, [listed[why]], FOUND).found


def test_the_truth_reads_back(drawn, stream) -> None:
    text = truth_text([drawn.truth], [stream], {"seed": 3})
    (back,) = read_truth(text, "t.ecsv")
    assert back.stream == stream.stream
    assert back.sky == "s1"
    np.testing.assert_array_equal(back.source_id, stream.source_id)
    for broken in ("", "a b\n1 2\n", text.replace("source_id", "id")):
        with pytest.raises(BadInputError, match=r"t\.ecsv: is no truth"):
            read_truth(broken, "t.ecsv")
