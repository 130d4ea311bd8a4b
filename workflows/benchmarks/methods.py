"""Which score finds more streams at equally many false candidates, and what consistency adds.

    python workflows/benchmarks/methods.py OUT [--skies 16] [--seed 7] [--searches LIST]

Makes a challenge of simulated patches thinned to a twentieth, two streams in each, and searches
each patch with each score; done searches are kept, so the command goes on where it stopped. Writes
OUT/methods.json and OUT/methods.png: streams found against false candidates a patch, and how many
of the stars of each membership are the stream's.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table
from matplotlib.figure import Figure
from numpy.typing import NDArray

from viamachinae.config import FoundConfig
from viamachinae.inspect.figures import house_style
from viamachinae.options import read_config
from viamachinae.pipeline.candidate_lists import memberships, run_candidates
from viamachinae.pipeline.challenge import Challenge, make, open_challenge
from viamachinae.pipeline.scan import scan
from viamachinae.store.files import write_json
from viamachinae.store.run import RunFolder
from viamachinae.validate.calibration import clopper_pearson
from viamachinae.validate.recovery import is_stream
from viamachinae.validate.reliability import reliability
from viamachinae.validate.truth import TrueStream, read_truth

CONFIG = Path(__file__).parents[1] / "config" / "validate_demo.yaml"
SKIES = (
    "validation.n_streams=2",
    "validation.streams.n_stars=[100, 150, 200]",
    "validation.challenge.empty_share=0",
)
# All candidates down to a significance of which each patch has several by chance.
SEARCH = ("link.protoclusters.min_sigma=6", "inspect.max_figures=0")
# Networks small enough for a CPU.
NETWORKS = (
    "score.classifier.epochs=10",
    "score.classifier.average_best=5",
    "score.classifier.folds=3",
    "score.classifier.batch_size=512",
    "score.classifier.learning_rate=2e-3",
)
SEARCHES = {
    "anode": (),
    # Lists of a hundred stars alone, and shorter ones, whatever the window holds.
    "anode_100": ("link.roi.max_share=1", "link.roi.min_stars=100"),
    "anode_50": ("link.roi.max_share=1", "link.roi.min_stars=50", "link.roi.n_stars=50"),
    "anode_30": ("link.roi.max_share=1", "link.roi.min_stars=30", "link.roi.n_stars=30"),
    "anode_x3": ("train.retrainings=3",),
    "r_anode": (
        "score.method=r_anode",
        "score.epochs=15",
        "score.average_best=5",
        "score.batch_size=512",
        "score.learning_rate=4e-3",
    ),
    "cathode": ("score.method=cathode", "score.oversampling=2", *NETWORKS),
    "cwola": ("score.method=cwola", *NETWORKS),
}
# False candidates a patch at which searches are compared.
FALSE_PER_PATCH = (0.0, 0.125, 0.25, 0.5, 1.0, 2.0)
# The default cut, at which consistencies are counted.
CUT = 8.0
# Bins of membership with fewer stars are not drawn.
LEAST_STARS = 20

Array = NDArray[np.float64]
Rows = list[dict[str, Any]]


class Listed(NamedTuple):
    """The candidates of one search in all patches, n of them.

    `streams[i]` names the stream that candidate i is, or is empty; `membership` and `real` are
    of the stars in the lists of those that are one.
    """

    sigma: Array
    consistency: Array
    streams: list[str]
    membership: Array
    real: NDArray[np.bool_]


def main() -> None:
    """Make the skies, search them, and grade."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--skies", type=int, default=16)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--searches", default=",".join(SEARCHES))
    given = parser.parse_args()
    skies, truth = given.out / "skies", given.out / "truth.ecsv"
    if not truth.is_file():
        config = read_config(CONFIG, [*SKIES, f"validation.challenge.n_skies={given.skies}"])
        make(config, skies, truth, given.seed)
    challenge = open_challenge(skies)
    streams = read_truth(truth.read_text(encoding="utf-8"), str(truth))
    lists = {
        name: listed(searched(challenge, name, given.out / name), streams, challenge.found)
        for name in given.searches.split(",")
    }
    ranks = {name: (one.sigma, one.streams) for name, one in lists.items()}
    for name, one in lists.items():
        if np.isfinite(one.consistency).all():
            ranks[f"{name}, sigma x consistency"] = one.sigma * one.consistency, one.streams
    results = {
        "streams": len(streams),
        "skies": len(challenge.skies),
        "found": {
            name: found_at(rank, of, len(streams), len(challenge.skies))
            for name, (rank, of) in ranks.items()
        },
        "membership": {
            name: rows(reliability(one.membership, one.real)) for name, one in lists.items()
        },
        "consistency": {name: by_consistency(one) for name, one in lists.items()},
    }
    write_json(given.out / "methods.json", results)
    draw(results, given.out / "methods.png")


def searched(challenge: Challenge, search: str, out: Path) -> dict[str, RunFolder]:
    """A finished run of a search for each sky."""
    for sky in challenge.skies:
        path = challenge.folder / f"{sky}.yaml"
        scan(read_config(path, [*SEARCH, *SEARCHES[search]]), out / sky)
    return {sky: RunFolder(out / sky) for sky in challenge.skies}


def listed(
    runs: dict[str, RunFolder], streams: Sequence[TrueStream], config: FoundConfig
) -> Listed:
    """The candidates of a search with what each of them is."""
    sigma, consistency, names = list[float](), list[float](), list[str]()
    membership, real = [np.empty(0)], [np.empty(0, dtype=np.bool_)]
    for sky, run in runs.items():
        table = Table.read(run.candidates, format="ascii.ecsv")
        share = dict(zip(table["candidate"], table["consistency"], strict=True))
        for candidate in run_candidates(run):
            its = [one for one in streams if one.sky == sky and is_stream(candidate, one, config)]
            sigma.append(candidate.sigma)
            consistency.append(float(share[candidate.name]))
            names.append(its[0].stream.name if its else "")
            if its:
                source_id, given = memberships(run, candidate.name)
                membership.append(given)
                real.append(np.isin(source_id, its[0].source_id))
    stars = np.concatenate(membership), np.concatenate(real)
    return Listed(np.array(sigma), np.array(consistency), names, *stars)


def found_at(rank: Array, names: Sequence[str], n_streams: int, n_skies: int) -> Rows:
    """Streams found above the cuts that leave so many false candidates a patch."""
    false = np.sort(rank[[not name for name in names]])[::-1]
    best: dict[str, float] = {}
    for value, name in zip(rank.tolist(), names, strict=True):
        if name:
            best[name] = max(value, best.get(name, -np.inf))
    found = []
    for allowed in FALSE_PER_PATCH:
        number = round(allowed * n_skies)
        cut = float(false[number]) if number < len(false) else None
        n = sum(cut is None or value > cut for value in best.values())
        low, high = clopper_pearson(np.array(n), n_streams, 0.95)
        share = {"found": n, "low": float(low), "high": float(high)}
        found.append({"false_per_patch": allowed, "above": cut, **share})
    return found


def by_consistency(one: Listed) -> Rows:
    """Candidates above the default cut, real and false, of each consistency."""
    real, above = np.array([bool(name) for name in one.streams]), one.sigma >= CUT
    counts = []
    for value in np.unique(one.consistency[np.isfinite(one.consistency)]):
        here = above & (one.consistency == value)
        n_real = int((here & real).sum())
        counts.append(
            {"consistency": float(value), "real": n_real, "false": int(here.sum()) - n_real}
        )
    return counts


def rows(table: Table) -> Rows:
    """The rows of a table as JSON can say them."""
    return [{name: row[name].item() for name in table.colnames} for row in table]


def draw(results: dict[str, Any], path: Path) -> None:
    """Streams found at equally many false candidates, and the reliability of memberships."""
    with house_style():
        figure = Figure((9, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        for (name, points), marker in zip(results["found"].items(), "osD^vPX", strict=False):
            x, y = ([point[key] for point in points] for key in ("false_per_patch", "found"))
            left.plot(x, y, marker=marker, ms=4, label=name.replace(" x ", " × "))
        left.set(xlabel="false candidates a patch", ylabel=f"found of {results['streams']} streams")
        left.set_ylim(0, results["streams"] + 1)
        left.legend(loc="lower right")
        right.plot([0, 1], [0, 1], color="0.7", lw=0.8)
        for (name, points), marker in zip(results["membership"].items(), "osD^vPX", strict=False):
            points = [point for point in points if point["n"] >= LEAST_STARS]
            x, y = ([point[key] for point in points] for key in ("membership", "share"))
            right.plot(x, y, marker=marker, ms=4, label=name)
        right.set(xlabel="membership", ylabel="share that is the stream's")
        right.legend(loc="upper left")
        figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
