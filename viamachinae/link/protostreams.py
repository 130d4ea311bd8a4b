"""Protostreams: protoclusters of a patch that share line stars (after VM2 and VM3).

The same stars come back in neighbouring windows and signal regions, so that one stream gives
several protoclusters. Two belong together if more than a given share of the line stars of the
one with fewer are line stars of the other, each star counted once (denominator ours).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from viamachinae.link.hough import Ints


def protostreams(line_stars: Sequence[Ints], min_shared: float) -> Ints:
    """Join what shares more than `min_shared` of the line stars, directly or through others.

    Parameters
    ----------
    line_stars : sequence of int64 arrays
        Unique source_id of the line stars of each protocluster.
    min_shared : float
        Share of the smaller of two sets of line stars, 0 to 1.

    Returns
    -------
    int64 array of shape (len(line_stars),)
        Number of each protocluster's protostream, in the order of first appearance.
    """
    first, second, shared = shared_stars(line_stars)
    size = np.array([len(stars) for stars in line_stars], dtype=np.int64)
    joined = shared > min_shared * np.minimum(size[first], size[second])
    return connected(len(line_stars), first[joined], second[joined])


def shared_stars(star_sets: Sequence[Ints]) -> tuple[Ints, Ints, Ints]:
    """Pairs of sets (first < second) that share stars, and how many they share.

    Parameters
    ----------
    star_sets : sequence of int64 arrays
        source_id of the stars of each set, unique within a set.

    Returns
    -------
    three int64 arrays of shape (n_pairs,)
    """
    owner = np.repeat(np.arange(len(star_sets)), [len(stars) for stars in star_sets])
    stars, star = np.unique(
        np.concatenate([*star_sets, np.empty(0, dtype=np.int64)]), return_inverse=True
    )
    holds = csr_array(
        (np.ones(len(star), dtype=np.int64), (owner, star)), shape=(len(star_sets), len(stars))
    )
    shared = coo_array(holds @ holds.T)
    pairs = shared.row < shared.col
    order = np.lexsort((shared.col[pairs], shared.row[pairs]))
    first, second, number = (a[pairs][order] for a in (shared.row, shared.col, shared.data))
    return first.astype(np.int64), second.astype(np.int64), number.astype(np.int64)


def connected(n: int, first: Ints, second: Ints) -> Ints:
    """Number of the connected component of each of `n` nodes, in the order of first appearance.

    Parameters
    ----------
    n : int
        Number of nodes.
    first, second : int64 arrays of shape (n_edges,)
        The nodes that each edge joins.

    Returns
    -------
    int64 array of shape (n,)
    """
    edges = coo_array((np.ones(len(first), dtype=np.int8), (first, second)), shape=(n, n))
    _, label = connected_components(edges, directed=False)
    _, appearance, label = np.unique(label, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(appearance))
    return rank[label].astype(np.int64)
