"""Random streams named by what they are for."""

from __future__ import annotations

import hashlib

import numpy as np


def seed_sequence(seed: int, *keys: str | float) -> np.random.SeedSequence:
    """The seed of one purpose, such as one flow of one patch.

    It depends on the values alone, not on order of work, platform or Python's hash seed.

    Parameters
    ----------
    seed : int
        The scan's seed, 0 or more.
    *keys : str or float
        Names and numbers that tell the purpose from all others.
    """
    text = "\x1f".join(key if isinstance(key, str) else float(key).hex() for key in keys)
    words = np.frombuffer(hashlib.sha256(text.encode()).digest(), dtype="<u4")
    return np.random.SeedSequence([seed, *words.tolist()])
