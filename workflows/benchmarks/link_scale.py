"""How long linking takes as the number of patches grows: the whole sky's protoclusters, made up.

Each patch of the default tiling gets protoclusters whose line stars lie along random lines, drawn
from one sky of stars, so that overlapping patches share stars and some protostreams join. Linked
are all trainings together and three of them alone, for consistency; these here find the same.

    python workflows/benchmarks/link_scale.py [--protoclusters 150] [--patches 25 50 100 200]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pyarrow as pa
from astropy.table import Table

from viamachinae.config import CandidateConfig, HealpixTiling
from viamachinae.link.candidates import candidate_line_stars, find_candidates
from viamachinae.link.consistency import with_consistency
from viamachinae.link.streams import LinkedPatch
from viamachinae.sky import Patch, tile

# Stars of the sky that may come into a protocluster, and those of each.
SKY_STARS = 2_000_000
STARS, LINE_STARS = 100, 30
# Of the default preset.
RETRAININGS = 3


def sky(rng: np.random.Generator) -> Table:
    """Stars evenly over the sphere."""
    return Table(
        {
            "source_id": np.arange(SKY_STARS),
            "ra": rng.uniform(0, 360, SKY_STARS),
            "dec": np.degrees(np.arcsin(rng.uniform(-1, 1, SKY_STARS))),
            "pmra": rng.normal(0, 5, SKY_STARS),
            "pmdec": rng.normal(0, 5, SKY_STARS),
            "phot_g_mean_mag": rng.uniform(15, 20, SKY_STARS),
            "bp_rp": rng.uniform(0.5, 1.0, SKY_STARS),
        }
    )


def linked_patch(patch: Patch, stars: Table, n: int, rng: np.random.Generator) -> LinkedPatch:
    """A patch with `n` protoclusters, each a protostream of its own and from one ROI."""
    near = np.abs(stars["dec"] - patch.dec) < patch.evaluation_radius_deg
    own = stars[near]
    own = own[patch.separation_deg(own["ra"], own["dec"]) < patch.evaluation_radius_deg]
    still = np.zeros(len(own))
    phi, lam, _, _ = patch.to_frame(own["ra"], own["dec"], still, still)
    theta, r = rng.uniform(0, 180, n), rng.uniform(-8, 8, n)
    lists = []
    for angle, offset in zip(np.radians(theta), r, strict=True):
        distance = np.abs(phi * np.sin(angle) - lam * np.cos(angle) - offset)
        line = rng.permutation(np.argsort(distance)[: 2 * LINE_STARS])[:LINE_STARS]
        others = rng.choice(len(own), STARS - LINE_STARS, replace=False)
        lists.append(np.unique(np.concatenate([line, others])))
    on_line = [
        np.abs(phi[one] * np.sin(a) - lam[one] * np.cos(a) - o) < 0.5
        for one, a, o in zip(lists, np.radians(theta), r, strict=True)
    ]
    number = np.arange(n)
    clusters = {
        "protocluster": number,
        "protostream": number,
        "theta": theta,
        "r": r,
        "sigma": rng.uniform(8, 12, n),
        "roi": [[one] for one in number],
        "source_id": [own["source_id"].data[one] for one in lists],
        "on_line": on_line,
        "log_ratio": [np.zeros(len(one)) for one in lists],
    }
    lines = {"scan": ["pm_phi"] * n, "region": np.zeros(n), "window": np.zeros(n)}
    rois = pa.table({**lines, "sigma": clusters["sigma"]})
    return LinkedPatch(patch, rois, pa.table(clusters), own)


def main() -> None:
    """Print a table of processor times, which a busy machine does not change."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--protoclusters", type=int, default=150, help="of each patch")
    parser.add_argument("--patches", type=int, nargs="+", default=[25, 50, 100, 200])
    options = parser.parse_args()
    rng, how = np.random.default_rng(0), CandidateConfig()
    stars = sky(rng)
    # Down to 20 deg from the plane, so that there are 200.
    patches = tile(HealpixTiling(min_abs_b_deg=20.0))
    linked = [
        linked_patch(patch, stars, options.protoclusters, rng)
        for patch in patches[: max(options.patches)]
    ]
    print("| patches | protoclusters | candidates | CPU seconds |\n|---|---|---|---|")
    for n in options.patches:
        begin = time.process_time()
        found = find_candidates(linked[:n], how)
        again = [candidate_line_stars(linked[:n], how) for _ in range(RETRAININGS)]
        found = with_consistency(found, again, how.min_shared)
        seconds = time.process_time() - begin
        clusters = sum(one.protoclusters.num_rows for one in linked[:n])
        print(f"| {len(linked[:n])} | {clusters} | {len(found.candidates)} | {seconds:.1f} |")


if __name__ == "__main__":
    main()
