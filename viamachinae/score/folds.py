"""Parts of the stars that stay the same wherever a star turns up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Multipliers of the finaliser of SplitMix64 (Steele, Lea & Flood 2014).
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def fold_of(source_id: NDArray[np.int64], folds: int) -> NDArray[np.int64]:
    """The fold of each star, 0 to ``folds - 1``: a hash of its ``source_id``.

    It depends on nothing else, so a star keeps its fold in every patch, scan and region. The bits
    of a source_id tell the position; the hash mixes them, so folds do not follow the sky.
    """
    mixed = source_id.astype(np.uint64)
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * factor
    mixed ^= mixed >> np.uint64(31)
    return (mixed % np.uint64(folds)).astype(np.int64)
