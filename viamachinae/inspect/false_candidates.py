"""How many candidates above a cut are chance: the section of the page that null skies make."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from viamachinae.inspect.figures import PANEL_DPI, house_style
from viamachinae.inspect.pictures import Picture, counted, picture

WORDS = {
    "shuffled": "the stars of this scan, their positions dealt out anew within cells",
    "spread": "the stars of this scan, spread evenly over each small part of the sky",
    "simulated": "smooth galaxies without streams",
}
LINES = {
    "scan": "all of this scan",
    "empty": "of this scan, without a line star of any candidate",
    "null": "on null skies",
}
# The curve is drawn on a log axis down to this share of its lowest mean above zero.
_FLOOR = 0.3


@dataclass(frozen=True)
class FalseCandidates:
    """What null skies say of a scan.

    Attributes
    ----------
    kind : str
        ``shuffled``, ``spread`` or ``simulated``.
    n_skies, n_null_patches, n_patches : int
        Null skies, the patches searched on all of them, and in the scan.
    confidence : float
        Of the intervals.
    curve : mapping of str to sequence of float
        cut (ascending), n_found, n_null, expected, low, high: a row holds from above the cut
        before it up to its own; the last one beyond all candidates.
    lines : mapping
        For each of `LINES`: n, median, p99 and max of sigma_L of regions of interest.
    """

    kind: str
    n_skies: int
    n_null_patches: int
    n_patches: int
    confidence: float
    curve: Mapping[str, Sequence[float]]
    lines: Mapping[str, Mapping[str, float | None]]

    @property
    def about(self) -> str:
        """What was searched, in a sentence."""
        return (
            f"{counted(self.n_skies, 'null sky', 'null skies')} with "
            f"{counted(self.n_null_patches, 'patch', 'patches')} in all ({WORDS[self.kind]}) went "
            f"through the same stages as the {counted(self.n_patches, 'patch', 'patches')} here."
        )

    @property
    def data(self) -> str:
        """The curve, for the slider of the page."""
        names = ("cut", "n_found", "expected", "low", "high")
        return json.dumps({name: [float(f"{x:.5g}") for x in self.curve[name]] for name in names})

    @property
    def slider(self) -> dict[str, float]:
        """Least and greatest position of the slider."""
        cut = self.curve["cut"]
        return {"least": np.floor(10 * cut[0]) / 10, "most": np.ceil(10 * cut[-1]) / 10}

    @property
    def at_cut(self) -> str:
        """What the lowest cut gives, in a sentence."""
        found, expected, low, high = (
            self.curve[name][0] for name in ("n_found", "expected", "low", "high")
        )
        return (
            f"Above the cut of {self.curve['cut'][0]:.1f}: "
            f"{counted(int(found), 'candidate', 'candidates')} found, {expected:.2g} chance "
            f"candidates expected ({low:.2g} to {high:.2g} at {self.confidence:.0%} confidence)."
        )

    @property
    def line_rows(self) -> list[tuple[str, list[str]]]:
        """Where regions of interest are, and the numbers of their lines."""
        rows = []
        for name, words in LINES.items():
            own = self.lines[name]
            numbers = [own["median"], own["p99"], own["max"]]
            shown = ["–" if number is None else f"{number:.1f}" for number in numbers]
            rows.append((words, [f"{own['n']:.0f}", *shown]))
        return rows

    def picture(self) -> Picture:
        """The curve as an image."""
        return picture(
            figure(self),
            PANEL_DPI,
            "Chance candidates expected above a cut in significance, with their interval, and "
            f"candidates found above it. {self.at_cut}",
            "Orange: candidates found above a cut. Blue: chance candidates expected there, with "
            f"their interval at {self.confidence:.0%} confidence.",
        )


def figure(false: FalseCandidates) -> Figure:
    """Found and expected candidates above each cut."""
    curve = {name: np.asarray(values, dtype=np.float64) for name, values in false.curve.items()}
    cut = curve["cut"].copy()
    # The last row holds for all cuts beyond: so far it is drawn.
    cut[-1] = cut[-2] + max(1.0, 0.1 * (cut[-2] - cut[0]))
    positive = np.concatenate([curve["high"], curve["expected"], curve["n_found"], [1.0]])
    floor = _FLOOR * positive[positive > 0].min()
    with house_style():
        panel = Figure((5.2, 3.4), layout="constrained")
        axes = panel.add_subplot()
        low = np.maximum(curve["low"], floor)
        band: dict[str, Any] = {"step": "pre", "color": "#0072B2", "alpha": 0.2, "linewidth": 0}
        axes.fill_between(cut, low, curve["high"], **band)
        for name, colour, words in (
            ("expected", "#0072B2", "chance, expected"),
            ("n_found", "#D55E00", "found"),
        ):
            values = np.maximum(curve[name], floor)
            # At the foot of the axis, where nothing is, the frame would hide it.
            axes.step(cut, values, where="pre", color=colour, label=words, clip_on=False, zorder=3)
        axes.set_yscale("log")
        axes.set_ylim(floor, 1.5 * max(positive.max(), 1.0))
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("cut in significance σ")
        axes.set_ylabel("candidates of at least σ")
        axes.grid(color="0.9", linewidth=0.5)
        panel.legend(loc="outside upper center", ncols=2, handletextpad=0.6)
    return panel
