"""Whether memberships are what they say: of the stars of each, how many are the stream's."""

from __future__ import annotations

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from viamachinae.validate.calibration import clopper_pearson

# Ends of the bins of membership (ours).
EDGES = np.linspace(0, 1, 11)


def reliability(
    membership: NDArray[np.float64], real: NDArray[np.bool_], level: float = 0.95
) -> Table:
    """The share of a stream's stars among those of each membership.

    Parameters
    ----------
    membership : float64 array of shape (n,)
        Of the stars in the lists of candidates that are injected streams; NaN is left out.
    real : bool array of shape (n,)
        Whether a star is its stream's.
    level : float
        Confidence of the intervals.

    Returns
    -------
    astropy.table.Table
        low and high (ends of the bin), membership (its mean), n, n_real, share, share_low,
        share_high; bins without a star are left out.
    """
    known = np.isfinite(membership)
    membership, real = membership[known], real[known]
    number = np.clip(np.digitize(membership, EDGES) - 1, 0, len(EDGES) - 2)
    size = len(EDGES) - 1
    n = np.bincount(number, minlength=size)
    total = np.bincount(number, membership, minlength=size)
    n_real = np.bincount(number, real, minlength=size).astype(np.int64)
    held = n > 0
    n, n_real = n[held], n_real[held]
    low, high = clopper_pearson(n_real, n, level)
    return Table(
        {
            "low": EDGES[:-1][held],
            "high": EDGES[1:][held],
            "membership": total[held] / n,
            "n": n,
            "n_real": n_real,
            "share": n_real / n,
            "share_low": low,
            "share_high": high,
        },
        meta={"level": level},
    )
