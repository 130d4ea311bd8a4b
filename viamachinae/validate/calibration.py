"""How many candidates are chance: p-values, false discovery rate and expected false candidates.

All of it is counted on null skies, without a model of the tail. With M patches searched on null
skies and P in the scan, and for a candidate of significance s:

- ``p_local = (m + 1) / (M + 1)``, m being the null patches that hold a candidate of at least s;
- ``p_value = 1 - (1 - p_local)^P``: the chance that a scan of P patches without streams gives
  one (Šidák); never 0, and too large rather than too small where patches overlap;
- ``expected_false = n P / M``, n being the null candidates of at least s, with the interval of
  Garwood (1936) for the Poisson mean of n;
- ``fdr``: the smallest ``(n + 1) P / (M + 1)`` over candidates found, of all cuts at which the
  candidate is kept, at most 1. This is the q-value of Benjamini & Hochberg (1995) with
  P hypotheses, where a patch holds at most one candidate.

A candidate that spans patches is counted in the one where it is most significant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.table import Column, Table
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# The columns that candidates get, and what they mean.
COLUMNS = {
    "p_value": "Chance that a scan of as many patches without streams gives one of this sigma",
    "p_local": "The same for one patch",
    "fdr": "Share of chance candidates among those of at least this sigma (q-value)",
    "expected_false": "Chance candidates of at least this sigma expected in the scan",
    "expected_false_low": "Lower end of its interval",
    "expected_false_high": "Upper end of its interval",
}


@dataclass(frozen=True)
class Null:
    """What all null skies together gave.

    Attributes
    ----------
    sigma : float64 array of shape (n,)
        Significance of each candidate on them.
    patch : int64 array of shape (n,)
        Number of the null patch that holds it, each patch of each sky having its own.
    n_patches : int
        Null patches that were searched, one at least.
    """

    sigma: Floats
    patch: Ints
    n_patches: int

    def n_above(self, cut: Floats) -> Ints:
        """Null candidates of at least each cut."""
        return _n_above(self.sigma, cut)

    def n_patches_above(self, cut: Floats) -> Ints:
        """Null patches that hold a candidate of at least each cut."""
        highest = np.full(self.n_patches, -np.inf)
        np.maximum.at(highest, self.patch, self.sigma)
        return _n_above(highest, cut)


def _n_above(values: Floats, cut: Floats) -> Ints:
    return len(values) - np.searchsorted(np.sort(values), cut, side="left").astype(np.int64)


def local_p_values(sigma: Floats, null: Null) -> Floats:
    """Chance that a patch without streams gives a candidate of at least each sigma."""
    return np.asarray((null.n_patches_above(sigma) + 1) / (null.n_patches + 1))


def scan_p_values(p_local: Floats, n_patches: int) -> Floats:
    """The same for at least one of `n_patches` patches (Šidák 1967)."""
    with np.errstate(divide="ignore"):  # log(0) where each null patch holds one
        return np.asarray(-np.expm1(n_patches * np.log1p(-p_local)))


def expected_false(
    sigma: Floats, null: Null, n_patches: int, confidence: float
) -> tuple[Floats, Floats, Floats]:
    """Chance candidates of at least each sigma expected in `n_patches`, with their interval."""
    n, share = null.n_above(sigma), n_patches / null.n_patches
    low, high = garwood(n, confidence)
    return n.astype(np.float64) * share, low * share, high * share


def false_discovery_rates(sigma: Floats, null: Null, n_patches: int) -> Floats:
    """q-value of each candidate of a scan: it does not grow with sigma.

    Parameters
    ----------
    sigma : float64 array of shape (n,)
        Of all candidates of the scan, in any order.
    null : Null
    n_patches : int
        Patches of the scan.
    """
    false = (null.n_above(sigma) + 1) * n_patches / (null.n_patches + 1)
    share = false / _n_above(sigma, sigma)
    order = np.argsort(sigma, kind="stable")
    rate = np.empty(len(sigma))
    # From the lowest cut on: a candidate is kept at every cut up to its own sigma.
    rate[order] = np.minimum.accumulate(share[order])
    return np.minimum(rate, 1.0)


def garwood(n: Ints, confidence: float) -> tuple[Floats, Floats]:
    """Exact central interval for a Poisson mean of which `n` were counted (Garwood 1936)."""
    tail = (1 - confidence) / 2
    low = np.where(n > 0, stats.chi2.ppf(tail, 2 * np.maximum(n, 1)) / 2, 0.0)
    return low, np.asarray(stats.chi2.isf(tail, 2 * (n + 1)) / 2)


def clopper_pearson(k: Ints, n: int | Ints, confidence: float) -> tuple[Floats, Floats]:
    """Exact central interval for a share of which `k` in `n` were counted (1934)."""
    tail = (1 - confidence) / 2
    low = np.where(k > 0, stats.beta.ppf(tail, np.maximum(k, 1), n - k + 1), 0.0)
    high = np.where(k < n, stats.beta.isf(tail, k + 1, np.maximum(n - k, 1)), 1.0)
    return low, high


def calibrated(candidates: Table, null: Null, n_patches: int, confidence: float) -> Table:
    """The candidates of a scan with the columns of `COLUMNS`; rows stay in their order.

    Parameters
    ----------
    candidates : Table
        With the column sigma.
    null : Null
    n_patches : int
        Patches of the scan that were searched.
    confidence : float
        Of the interval, 0 to 1.
    """
    sigma = np.asarray(candidates["sigma"], dtype=np.float64)
    p_local = local_p_values(sigma, null)
    values = [
        scan_p_values(p_local, n_patches),
        p_local,
        false_discovery_rates(sigma, null, n_patches),
        *expected_false(sigma, null, n_patches, confidence),
    ]
    table = candidates.copy()
    for (name, text), column in zip(COLUMNS.items(), values, strict=True):
        words = f"{text}, at {confidence:.0%} confidence" if "interval" in text else text
        table[name] = Column(column, dtype=np.float64, description=words)
    return table


def curve(found: Floats, null: Null, n_patches: int, lowest: float, confidence: float) -> Table:
    """Found and false candidates above every cut at which one of the numbers changes.

    Parameters
    ----------
    found : float64 array of shape (n,)
        sigma of the candidates of the scan.
    lowest : float
        The first cut: that of the scan, below which it has no candidates.

    Returns
    -------
    Table
        cut, ascending; n_found, n_null; expected, low, high (chance candidates of at least the
        cut expected in the scan); share, share_low, share_high (of null patches that hold one).
        A row holds from just above the cut before it up to its own.
    """
    cuts = np.unique(np.concatenate([[lowest], found, null.sigma]))
    # One past the last, where nothing is left on either side.
    cuts = np.append(cuts[cuts >= lowest], np.nextafter(cuts[-1], np.inf))
    expected, low, high = expected_false(cuts, null, n_patches, confidence)
    k = null.n_patches_above(cuts)
    share_low, share_high = clopper_pearson(k, null.n_patches, confidence)
    return Table(
        {
            "cut": cuts,
            "n_found": _n_above(found, cuts),
            "n_null": null.n_above(cuts),
            "expected": expected,
            "low": low,
            "high": high,
            "share": k / null.n_patches,
            "share_low": share_low,
            "share_high": share_high,
        }
    )
