"""Seeds: a stated value that no platform may change, and one stream a purpose."""

from __future__ import annotations

import hashlib
import struct

import numpy as np

from viamachinae.score.seeds import seed_sequence


def test_seeds_are_the_words_of_a_sha256():
    words = struct.unpack("<8I", hashlib.sha256(b"l195.0_b+33.7\x1f-0x1.8000000000000p+1").digest())
    expected = np.random.SeedSequence([7, *words]).generate_state(4)
    given = seed_sequence(7, "l195.0_b+33.7", -3.0).generate_state(4)
    np.testing.assert_array_equal(given, expected)


def test_every_key_matters():
    keys = [
        (0, "a", 1.0),
        (1, "a", 1.0),
        (0, "b", 1.0),
        (0, "a", 2.0),
        (0, "a"),
        (0, "a", 1.0, "x"),
    ]
    states = {tuple(seed_sequence(*key).generate_state(2).tolist()) for key in keys}
    assert len(states) == len(keys)
    assert (seed_sequence(0, 1).generate_state(2) == seed_sequence(0, 1.0).generate_state(2)).all()
