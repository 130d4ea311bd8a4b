"""Which score finds more streams at equally many false candidates, and what consistency adds.

    python workflows/benchmarks/methods.py OUT [--skies 16] [--searches anode,anode_x3,...]

Makes a challenge of simulated patches thinned to a twentieth, two streams in each, and searches
each patch with each score; done searches are kept, so the command goes on where it stopped. Writes
OUT/methods.json and OUT/methods.png: the share of streams found against the false candidates a
patch, and how many of the stars of each membership probability are the stream's.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from viamachinae.config import FoundConfig
from viamachinae.inspect.figures import house_style
from viamachinae.options import read_config
from viamachinae.pipeline.challenge import make, open_challenge
from viamachinae.pipeline.lists import run_candidates
from viamachinae.pipeline.scan import scan
from viamachinae.store.files import read_table, write_json
from viamachinae.store.run import RunFolder
from viamachinae.validate.calibration import clopper_pearson
from viamachinae.validate.recovery import is_stream
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
FALSE_PER_PATCH = (0.0, 0.25, 0.5, 1.0, 2.0)
BINS = np.linspace(0, 1, 6)


class Listed(NamedTuple):
    """The candidates of one search in all patches, n of them, and the stars of those found.

    `streams[i]` names the stream that candidate i is, or is empty. `probability` and `real` are
    those of the stars of candidates that are streams.
    """

    sigma: NDArray[np.float64]
    consistency: NDArray[np.float64]
    streams: list[str]
    probability: NDArray[np.float64]
    real: NDArray[np.bool_]


def main() -> None:
    """Make the skies, search them, and grade."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--skies", type=int, default=16)
    parser.add_argument("--searches", default=",".join(SEARCHES))
    given = parser.parse_args()
    skies, truth = given.out / "skies", given.out / "truth.ecsv"
    if not truth.is_file():
        make(
            read_config(CONFIG, [*SKIES, f"validation.challenge.n_skies={given.skies}"]),
            skies,
            truth,
            7,
        )
    challenge = open_challenge(skies)
    streams = read_truth(truth.read_text(encoding="utf-8"), str(truth))
    lists = {}
    for search in given.searches.split(","):
        for sky in challenge.skies:
            config = read_config(skies / f"{sky}.yaml", [*SEARCH, *SEARCHES[search]])
            scan(config, given.out / search / sky)
        runs = {sky: RunFolder(given.out / search / sky) for sky in challenge.skies}
        lists[search] = listed(runs, streams, challenge.found)
        print(search, len(lists[search].sigma), "candidates", flush=True)
    curves = {name: (one.sigma, one.streams) for name, one in lists.items()}
    if "anode_x3" in lists:
        three = lists["anode_x3"]
        curves["anode_x3, sigma x consistency"] = (three.sigma * three.consistency, three.streams)
    found = {
        name: completeness(rank, of, len(streams), len(challenge.skies))
        for name, (rank, of) in curves.items()
    }
    reliable = {name: reliability(one) for name, one in lists.items()}
    kinds = {name: false_by_consistency(one) for name, one in lists.items() if "x3" in name}
    results = {"streams": len(streams), "skies": len(challenge.skies), "found": found}
    write_json(
        given.out / "methods.json", {**results, "membership": reliable, "consistency": kinds}
    )
    draw(found, reliable, given.out / "methods.png")


def listed(
    runs: dict[str, RunFolder], streams: Sequence[TrueStream], config: FoundConfig
) -> Listed:
    """The candidates of a search with what each of them is."""
    sigma, consistency, names, probability, real = [], [], [], [], []
    for sky, run in runs.items():
        table = Table.read(run.candidates, format="ascii.ecsv")
        share = dict(zip(table["candidate"], table["consistency"], strict=True))
        members = read_table(run.members, ["candidate", "source_id", "membership"])
        for candidate in run_candidates(run):
            its = [one for one in streams if one.sky == sky and is_stream(candidate, one, config)]
            sigma.append(candidate.sigma)
            consistency.append(float(share[candidate.name]))
            names.append(its[0].stream.name if its else "")
            if its:
                stars = members[members["candidate"] == candidate.name]
                probability.append(np.asarray(stars["membership"], dtype=np.float64))
                real.append(np.isin(stars["source_id"], its[0].source_id))
    return Listed(
        np.array(sigma),
        np.array(consistency),
        names,
        np.concatenate([*probability, []]),
        np.concatenate([*real, []]).astype(bool),
    )


def completeness(
    rank: NDArray[np.float64], names: Sequence[str], n_streams: int, n_skies: int
) -> list[dict[str, Any]]:
    """Streams found above the cut that leaves so many false candidates a patch."""
    false = np.sort(rank[[not name for name in names]])[::-1]
    best: dict[str, float] = {}
    for value, name in zip(rank, names, strict=True):
        if name:
            best[name] = max(value, best.get(name, -np.inf))
    rows = []
    for allowed in FALSE_PER_PATCH:
        n = round(allowed * n_skies)
        cut = float(false[n]) if n < len(false) else -np.inf
        found = int(sum(value > cut for value in best.values()))
        low, high = clopper_pearson(np.array(found), n_streams, 0.95)
        share = {"found": found, "low": float(low), "high": float(high)}
        rows.append(
            {"false_per_patch": allowed, "above": cut if np.isfinite(cut) else None, **share}
        )
    return rows


def reliability(one: Listed) -> list[dict[str, Any]]:
    """Of the stars of found streams in each bin of probability, how many are the stream's."""
    rows = []
    for low, high in pairwise(BINS):
        here = (one.probability >= low) & ((one.probability < high) | (high == 1))
        n, n_real = int(here.sum()), int(one.real[here].sum())
        mean = float(one.probability[here].mean()) if n else None
        rows.append({"low": float(low), "high": float(high), "n": n, "mean": mean, "real": n_real})
    return rows


def false_by_consistency(one: Listed, least_sigma: float = 8.0) -> list[dict[str, Any]]:
    """Candidates above the default cut, real and false, of each consistency."""
    real = np.array([bool(name) for name in one.streams])
    rows = []
    for value in np.unique(one.consistency):
        here = (one.consistency == value) & (one.sigma >= least_sigma)
        counts = {"real": int((here & real).sum()), "false": int((here & ~real).sum())}
        rows.append({"consistency": float(value), **counts})
    return rows


def draw(
    found: dict[str, list[dict[str, Any]]], reliable: dict[str, list[dict[str, Any]]], path: Path
) -> None:
    """Completeness at equal false candidates, and the reliability of memberships."""
    from matplotlib.figure import Figure

    with house_style():
        figure = Figure((9, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        for (name, rows), marker in zip(found.items(), "osD^vP", strict=False):
            left.plot(
                [row["false_per_patch"] for row in rows],
                [row["found"] for row in rows],
                marker=marker, ms=4, label=name,
            )  # fmt: skip
        left.set(xlabel="false candidates a patch", ylabel="streams found")
        left.legend()
        for (name, rows), marker in zip(reliable.items(), "osD^vP", strict=False):
            rows = [row for row in rows if row["n"] >= 10]
            right.plot(
                [row["mean"] for row in rows], [row["real"] / row["n"] for row in rows],
                marker=marker, ms=4, label=name,
            )  # fmt: skip
        right.plot([0, 1], [0, 1], color="0.6", lw=0.8)
        right.set(xlabel="membership", ylabel="share that is the stream's")
        figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
