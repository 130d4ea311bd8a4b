"""The fits of which_flow.py as records, the choice among them, a table and a figure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from math import inf, log
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter
from which_flow_grid import Entry, Recipe

Record = dict[str, Any]

TRUTHS = ("stars", "clumps")
# Fits farther from the truth are arrows at the figure's rim.
MOST_NATS = 0.75
# Of Okabe and Ito, so that all readers can tell them apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
CHOOSE, REPORT = (0,), (1, 2, 3)
RESULTS = ("nats", "error", "leak", "spike", "retries", "engine", "cpu_s")


class Line(NamedTuple):
    """An entry of the grid with its results.

    Attributes
    ----------
    entry : Entry
    recipe : Recipe
        The one chosen.
    nats : ndarray of shape (truths, seeds)
    leak : float
        Mean share of the learned stars that lies beyond the edges of the true ones.
    spike : float
        The worst of all fits.
    seconds : float
        CPU seconds a flow per million stars, all epochs; NaN where not measured.
    engine : str
    """

    entry: Entry
    recipe: Recipe
    nats: np.ndarray[Any, Any]
    leak: float
    spike: float
    seconds: float
    engine: str


def described(entry: Entry, recipe: Recipe) -> Record:
    """What tells the fits of an entry by a recipe from all others, as JSON has it."""
    whole = {"shape": entry.shape.to_dict(), "epochs": entry.epochs, **asdict(recipe)}
    if entry.trainings > 1:
        whole["trainings"] = entry.trainings
    plain: Record = json.loads(json.dumps(whole))
    return plain


def identity(record: Record) -> str:
    """The part of a record that is no result, as a key."""
    given = {name: value for name, value in record.items() if name not in RESULTS}
    return json.dumps(given, sort_keys=True)


def read(file: Path) -> list[Record]:
    """All records of a file; none where it is absent."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def results(
    records: Sequence[Record], entry: Entry, recipe: Recipe, n_stars: int, seeds: Sequence[int]
) -> list[Record]:
    """Truth by truth and seed by seed, the fits of an entry by a recipe; fewer where not made."""
    by_identity = {identity(record): record for record in records}
    wanted = [
        identity({**described(entry, recipe), "stars": n_stars, "truth": truth, "seed": seed})
        for truth in TRUTHS
        for seed in seeds
    ]
    return [by_identity[key] for key in wanted if key in by_identity]


def choose(entry: Entry, records: Sequence[Record], n_stars: int) -> Recipe:
    """The recipe with the least geometric mean of nats over the truths, on the first seed."""

    def score(recipe: Recipe) -> float:
        found = results(records, entry, recipe, n_stars, CHOOSE)
        if len(found) < len(TRUTHS) * len(CHOOSE):
            return inf
        return sum(log(max(record["nats"], 1e-3)) for record in found)

    return min(entry.recipes, key=score)


def lines(
    grid: Sequence[Entry], records: Sequence[Record], times: Sequence[Record], n_stars: int
) -> list[Line]:
    """The entries whose fits are all made."""
    seconds = {(json.dumps(t["shape"]), t["batch"]): t["seconds_a_star"] for t in times}
    made = []
    for entry in grid:
        recipe = choose(entry, records, n_stars)
        found = results(records, entry, recipe, n_stars, REPORT)
        if len(found) < len(TRUTHS) * len(REPORT):
            continue
        case = json.dumps(found[0]["shape"]), recipe.batch
        made.append(
            Line(
                entry,
                recipe,
                np.reshape([record["nats"] for record in found], (len(TRUTHS), -1)),
                float(np.mean([r["leak"] for r in found if r["truth"] == "stars"])),
                max(record["spike"] for record in found),
                seconds.get(case, np.nan) * 1e6 * entry.epochs * entry.trainings,
                found[0]["engine"],
            )
        )
    return made


def write(grid: Sequence[Entry], folder: Path, n_stars: int) -> None:
    """The table of results, that of the choices, and the figure."""
    records = read(folder / "fits.jsonl")
    made = lines(grid, records, read(folder / "times.jsonl"), n_stars)
    text = [*result_rows(made), "", *choice_rows(grid, records, n_stars)]
    (folder / "which_flow.md").write_text("\n".join(text) + "\n")
    figure, axes = plt.subplots(1, 2, figsize=(11, 5.5), layout="constrained", sharex=True)
    for axis, truth in zip(axes, TRUTHS, strict=True):
        draw(axis, made, truth)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(folder / "which_flow.png", dpi=110)


def recipe_cells(recipe: Recipe) -> str:
    """Batch, schedule and learning rate."""
    clip = "" if recipe.clip <= 1 else ", not clipped"
    return f"{recipe.batch} | {recipe.schedule} {recipe.rate:g}{clip}"


def result_rows(made: Sequence[Line]) -> list[str]:
    """Mean and range over the seeds."""
    rows = [
        "| | flow | epochs | batch | learning rate | nats, stars | leak | nats, clumps | "
        "worst spike | CPU s per million stars | engine |",
        "|---" * 11 + "|",
    ]
    for number, line in enumerate(made, start=1):
        stars, clumps = (f"{row.mean():.3f} ({row.min():.3f}–{row.max():.3f})" for row in line.nats)
        rows.append(
            f"| {number} | {line.entry.name} | {line.entry.epochs} | {recipe_cells(line.recipe)} "
            f"| {stars} | {line.leak:.3f} | {clumps} | {line.spike:.2g} | {line.seconds:.0f} "
            f"| {line.engine} |"
        )
    return rows


def choice_rows(grid: Sequence[Entry], records: Sequence[Record], n_stars: int) -> list[str]:
    """Every recipe tried, on the seed that decides."""
    rows = [
        "| flow | epochs | batch | learning rate | nats, stars | nats, clumps | worst spike |",
        "|---" * 7 + "|",
    ]
    for entry in grid:
        for recipe in entry.recipes:
            found = results(records, entry, recipe, n_stars, CHOOSE)
            if len(found) == len(TRUTHS):
                nats = " | ".join(f"{record['nats']:.3f}" for record in found)
                spike = max(record["spike"] for record in found)
                rows.append(
                    f"| {entry.name} | {entry.epochs} | {recipe_cells(recipe)} | {nats} | "
                    f"{spike:.2g} |"
                )
    return rows


def draw(axis: Axes, made: Sequence[Line], truth: str) -> None:
    """Nats against cost: seed by seed, a colour for each family, numbered as in the table."""
    families = list(dict.fromkeys(line.entry.shape.family for line in made))
    for family, colour in zip(families, COLOURS, strict=False):
        axis.plot([], [], "o", color=colour, label=family.replace("_", " "))
    for number, line in enumerate(made, start=1):
        nats = line.nats[TRUTHS.index(truth)]
        shown = np.where(np.isfinite(nats) & (nats < MOST_NATS), nats, MOST_NATS)
        colour = COLOURS[families.index(line.entry.shape.family)]
        axis.plot([line.seconds] * 2, [shown.min(), shown.max()], color=colour, lw=1)
        for value in shown:
            beyond = value == MOST_NATS
            axis.plot(
                line.seconds, value, "^" if beyond else "o", color=colour, ms=5 if beyond else 3
            )
        place = (line.seconds, shown.min())
        axis.annotate(str(number), place, (0, -10), textcoords="offset points", ha="center", size=7)
    axis.set(title=f"truth: {truth}", xlabel="CPU s a flow per million stars")
    axis.set(xscale="log", ylim=(0, 1.03 * MOST_NATS), ylabel="nats from the truth")
    axis.set_xticks([20, 50, 100, 200])
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())
