"""Stream candidates: the ranked list, the member stars and the lineage that a scan gives.

A candidate's sigma is the quadrature sum, over its patches, of the sigma of the most significant
protostream there (after VM2; details ours).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

from viamachinae.config import CandidateConfig
from viamachinae.link.hough import Bools, Floats, Ints
from viamachinae.link.members import (
    STAR_UNITS,
    Members,
    candidate_of,
    gather_members,
    member_table,
)
from viamachinae.link.membership import candidate_memberships
from viamachinae.link.names import candidate_names
from viamachinae.link.streams import (
    LinkedPatch,
    Protostreams,
    gather_protostreams,
    join_protostreams,
)
from viamachinae.sky import Patch

# Columns of the lineage: what a row is part of, and its ROI.
CLUSTER_COLUMNS: dict[str, type] = {
    "candidate": str,
    "patch": str,
    "protostream": np.int64,
    "protocluster": np.int64,
    "roi": np.int64,
}
ROI_COLUMNS: dict[str, type] = {
    "scan": str,
    "region": np.float64,
    "window": np.float64,
    "sigma": np.float64,
}


class Candidates(NamedTuple):
    """Stream candidates of a scan.

    Attributes
    ----------
    candidates : astropy.table.Table
        One row a candidate, best first: candidate (name), rank from 1, sigma, n_stars (line
        stars, each once), n_patches, ra, dec (middle of the line), pmra, pmdec (medians of the
        line stars).
    members : astropy.table.Table
        One row a candidate and star, by rank and source_id: candidate, source_id, ra, dec,
        pmra, pmdec, phot_g_mean_mag, bp_rp, log_ratio (largest in the candidate's ROIs),
        on_line (whether the star lies on the line of the best protocluster of a patch),
        membership (probability to belong to the stream; see `membership.memberships`).
    lineage : astropy.table.Table
        One row an ROI, by rank: candidate, patch, protostream, protocluster, roi (its row in
        the patch's lines), scan, region, window, sigma (of the ROI's own line).
    """

    candidates: Table
    members: Table
    lineage: Table


def find_candidates(linked: Sequence[LinkedPatch], config: CandidateConfig) -> Candidates:
    """Link the protostreams of all patches to stream candidates and describe these.

    Parameters
    ----------
    linked : sequence of LinkedPatch
        All patches that were merged; those without protoclusters may be left out.
    config : CandidateConfig
        When protostreams of two patches are one stream.

    Returns
    -------
    Candidates
        Tables without rows, but with all columns, where there is no candidate.

    Raises
    ------
    BadInputError
        If a protocluster names a star that its patch's stars lack.
    """
    patches = [one.patch for one in linked]
    found = gather_protostreams(linked)
    label = _by_rank(join_protostreams(found, patches, config), found)
    best = _best_of_patch(label, found)
    sigma = _quadrature(label, best, found)
    members = gather_members(linked, found, label, best)
    ra, dec = _middles(members, label, best, found, patches)
    pmra, pmdec = (_medians(members, members.star[pm], len(sigma)) for pm in ("pmra", "pmdec"))
    belongs = candidate_memberships(linked, found, label, best, members, config.max_width_deg)
    names = candidate_names(ra, dec, pmra, pmdec)
    columns = {
        "candidate": np.array(names, dtype=np.str_),
        "rank": np.arange(1, len(sigma) + 1),
        "sigma": sigma,
        "n_stars": np.bincount(members.candidate[members.on_line], minlength=len(sigma)),
        "n_patches": np.bincount(label[best], minlength=len(sigma)),
        "ra": ra,
        "dec": dec,
        "pmra": pmra,
        "pmdec": pmdec,
        "edge": _at_edge(label, best, found, patches, config.edge_margin_deg),
    }
    units = {name: STAR_UNITS[name] for name in ("ra", "dec", "pmra", "pmdec")}
    return Candidates(
        Table(columns, units=units),
        member_table(members, names, belongs),
        _lineage(linked, found, label, names),
    )


class Significances(NamedTuple):
    """Significance of candidates, best first, arrays of shape (n_candidates,).

    `sigma` is that of `find_candidates`, `home` the position of the patch in which the
    candidate's line is most significant.
    """

    sigma: Floats
    home: Ints


def significances(linked: Sequence[LinkedPatch], config: CandidateConfig) -> Significances:
    """How significant the candidates are that `find_candidates` finds, and where.

    Parameters and errors are those of `find_candidates`.
    """
    found = gather_protostreams(linked)
    label = _by_rank(join_protostreams(found, [one.patch for one in linked], config), found)
    best = _best_of_patch(label, found)
    by_sigma = best[np.lexsort((-found.sigma[best], label[best]))]
    _, first = np.unique(label[by_sigma], return_index=True)
    return Significances(_quadrature(label, best, found), found.patch[by_sigma[first]])


def candidate_line_stars(linked: Sequence[LinkedPatch], config: CandidateConfig) -> list[Ints]:
    """The ``source_id`` of the line stars of the candidates that `find_candidates` finds, by rank.

    Parameters and errors are those of `find_candidates`.
    """
    found = gather_protostreams(linked)
    label = _by_rank(join_protostreams(found, [one.patch for one in linked], config), found)
    n = int(label.max(initial=-1)) + 1
    on_line = np.isin(found.owner, _best_of_patch(label, found))
    candidate, star = label[found.owner[on_line]], found.source_id[on_line]
    order = np.argsort(candidate, kind="stable")
    begin = np.searchsorted(candidate[order], np.arange(n))
    return [np.unique(stars) for stars in np.split(star[order], begin)[1:]]


def _best_of_patch(label: Ints, found: Protostreams) -> Ints:
    """The most significant protostream of each candidate in each of its patches."""
    order = np.lexsort((-found.sigma, found.patch, label))
    place = np.column_stack([label, found.patch])[order]
    return order[np.any(np.diff(place, axis=0, prepend=-1) != 0, axis=1)]


def _quadrature(label: Ints, best: Ints, found: Protostreams) -> Floats:
    """Significance of each candidate, from its best protostreams."""
    return np.sqrt(np.bincount(label[best], weights=found.sigma[best] ** 2))


def _by_rank(label: Ints, found: Protostreams) -> Ints:
    """Number the candidates from the most significant on; of equal ones the first stays first."""
    sigma = _quadrature(label, _best_of_patch(label, found), found)
    rank = np.argsort(np.argsort(-sigma, kind="stable"))
    return rank[label]


def _medians(members: Members, values: Floats, n: int) -> Floats:
    """Median of a star column over the line stars of each of `n` candidates."""
    owner, own = members.candidate[members.on_line], values[members.on_line]
    own = own[np.lexsort((own, owner))]
    begin, end = np.searchsorted(owner, np.arange(n)), np.searchsorted(owner, np.arange(n), "right")
    middle: Floats = (own[(begin + end - 1) // 2] + own[(begin + end) // 2]) / 2
    return middle


def _middles(
    members: Members, label: Ints, best: Ints, found: Protostreams, patches: Sequence[Patch]
) -> tuple[Floats, Floats]:
    """The middle of each candidate's line, ICRS deg, shape (n_candidates,).

    The median of the line stars' directions is dropped onto the best line of each patch; the
    nearest foot inside its evaluation disc is the middle.
    """
    n = int(label.max(initial=-1)) + 1
    stars = SkyCoord(members.star["ra"] * u.deg, members.star["dec"] * u.deg).cartesian
    x, y, z = (_medians(members, part.value, n) for part in (stars.x, stars.y, stars.z))
    ra, dec = np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))
    foot = np.full((3, n), np.inf)
    for position in np.unique(found.patch):
        lines = best[found.patch[best] == position]
        number = label[lines]
        distance, foot_ra, foot_dec = _feet(
            patches[position], found, lines, ra[number], dec[number]
        )
        nearer = distance < foot[0, number]
        foot[:, number[nearer]] = np.stack([distance, foot_ra, foot_dec])[:, nearer]
    return foot[1], foot[2]


def _feet(
    patch: Patch, found: Protostreams, lines: Ints, ra: Floats, dec: Floats
) -> tuple[Floats, Floats, Floats]:
    """Distance, ra and dec of the points on lines of a patch nearest to given ones, deg."""
    x, y = patch.offsets(ra, dec)
    theta, r = np.radians(found.theta_deg[lines]), found.r_deg[lines]
    half = np.sqrt(np.maximum(patch.evaluation_radius_deg**2 - r**2, 0))
    t = np.clip(x * np.cos(theta) + y * np.sin(theta), -half, half)
    foot_x, foot_y = r * np.sin(theta) + t * np.cos(theta), t * np.sin(theta) - r * np.cos(theta)
    return np.hypot(x - foot_x, y - foot_y), *patch.sky_points(foot_x, foot_y)


def _at_edge(
    label: Ints, best: Ints, found: Protostreams, patches: Sequence[Patch], margin_deg: float
) -> Bools:
    """Whether all best lines of each candidate lie within a margin of the rim of their disc."""
    radius = np.array([patch.evaluation_radius_deg for patch in patches])
    inner = np.abs(found.r_deg[best]) <= radius[found.patch[best]] - margin_deg
    at_edge: Bools = np.bincount(label[best], weights=inner) == 0
    return at_edge


def _lineage(
    linked: Sequence[LinkedPatch], found: Protostreams, label: Ints, names: Sequence[str]
) -> Table:
    """From each candidate down to its ROIs, of the columns that `Candidates` names."""
    rows = []
    for position, one in enumerate(linked):
        of_roi = one.lines.select(list(ROI_COLUMNS)).to_pylist()
        numbers = candidate_of(one, position, found, label)
        clusters = one.protoclusters.select(["protostream", "protocluster", "roi"]).to_pylist()
        for number, cluster in zip(numbers, clusters, strict=True):
            above = (names[number], one.patch.id, cluster["protostream"], cluster["protocluster"])
            rows += [(number, (*above, roi, *of_roi[roi].values())) for roi in cluster["roi"]]
    rows.sort(key=lambda row: row[0])
    return Table(
        rows=[row for _, row in rows] or None,
        names=[*CLUSTER_COLUMNS, *ROI_COLUMNS],
        dtype=[*CLUSTER_COLUMNS.values(), *ROI_COLUMNS.values()],
        units={"region": STAR_UNITS["pmra"], "window": STAR_UNITS["pmra"]},
    )
