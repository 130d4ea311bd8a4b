"""Two lists of candidates held against each other by the stars that they share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array

Ints = NDArray[np.int64]

# Two candidates are one if they share more than this of the line stars of the smaller: the share
# that joins protostreams across patches.
MIN_SHARED = 0.4


def shared_counts(first: Sequence[Ints], second: Sequence[Ints]) -> Ints:
    """Stars that each list of `first` shares with each of `second`, shape (n_first, n_second).

    The lists hold a ``source_id`` once each.
    """
    shape = len(first), len(second)
    if not all(shape):
        return np.zeros(shape, dtype=np.int64)
    stars = np.unique(np.concatenate([*first, *second]))
    a, b = (_incidence(lists, stars) for lists in (first, second))
    return np.asarray((a @ b.T).toarray(), dtype=np.int64)


def _incidence(lists: Sequence[Ints], stars: Ints) -> coo_array:
    row = np.repeat(np.arange(len(lists)), [len(one) for one in lists])
    column = np.searchsorted(stars, np.concatenate(lists))
    ones = np.ones(len(row), dtype=np.int64)
    return coo_array((ones, (row, column)), shape=(len(lists), len(stars))).tocsr()


def line_stars(candidates: Table, members: Table) -> list[Ints]:
    """The ``source_id`` of the line stars of each candidate, in the order of its table."""
    line = members[np.asarray(members["on_line"], dtype=np.bool_)]
    ids = np.asarray(line["source_id"], dtype=np.int64)
    return [ids[rows] for rows in rows_by_name(candidates["candidate"], line["candidate"])]


def rows_by_name(names: Iterable[str], column: ArrayLike) -> list[Ints]:
    """Rows at which each of `names` stands in a column, in order.

    Names that stand together, as those of candidates among members, are compared once.
    """
    values = np.asarray(column)
    heads = np.flatnonzero(np.append(True, values[1:] != values[:-1])[: len(values)])
    runs = np.split(np.arange(len(values)), heads[1:])
    found: dict[str, list[Ints]] = {}
    for name, rows in zip(values[heads].tolist(), runs, strict=False):
        found.setdefault(name, []).append(rows)
    none = np.empty(0, dtype=np.int64)
    return [np.concatenate([none, *found.get(str(name), [])]) for name in names]


def compare(candidates_a: Table, members_a: Table, candidates_b: Table, members_b: Table) -> Table:
    """The candidates of two runs over one catalogue: matched, lost or gained.

    Pairs are taken from the one that shares the most stars on; a candidate has one partner, so
    that of two halves of a stream that was whole the smaller counts as gained.

    Returns
    -------
    astropy.table.Table
        change (``matched``, ``lost``, ``gained``), name_a, name_b (empty where there is none),
        sigma_a, sigma_b, sigma_change (b minus a; NaN where there is no pair), n_shared; matched
        ones first, each kind in the order of its rank.
    """
    first, second = line_stars(candidates_a, members_a), line_stars(candidates_b, members_b)
    shared = shared_counts(first, second)
    sizes = np.minimum.outer([len(one) for one in first], [len(one) for one in second])
    left = np.where(shared > MIN_SHARED * sizes, shared, 0) if shared.size else shared
    partner = {}
    while left.size and left.max() > 0:
        i, j = np.unravel_index(np.argmax(left), left.shape)
        partner[int(i)] = int(j)
        left[i], left[:, j] = 0, 0
    pairs: list[tuple[int | None, int | None]] = sorted(partner.items())
    pairs += [(i, None) for i in range(len(first)) if i not in partner]
    pairs += [(None, j) for j in range(len(second)) if j not in set(partner.values())]
    rows = [_row(candidates_a, candidates_b, i, j, shared) for i, j in pairs]
    names = ["change", "name_a", "name_b", "sigma_a", "sigma_b", "sigma_change", "n_shared"]
    kinds: list[type] = [str, str, str, np.float64, np.float64, np.float64, np.int64]
    return Table(rows=rows or None, names=names, dtype=kinds)


def _row(
    candidates_a: Table, candidates_b: Table, i: int | None, j: int | None, shared: Ints
) -> tuple[str, str, str, float, float, float, int]:
    name_a, sigma_a = _of(candidates_a, i)
    name_b, sigma_b = _of(candidates_b, j)
    change = "lost" if j is None else "gained" if i is None else "matched"
    n_shared = 0 if i is None or j is None else int(shared[i, j])
    return change, name_a, name_b, sigma_a, sigma_b, sigma_b - sigma_a, n_shared


def _of(candidates: Table, row: int | None) -> tuple[str, float]:
    if row is None:
        return "", float("nan")
    return str(candidates["candidate"][row]), float(candidates["sigma"][row])
