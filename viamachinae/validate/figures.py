"""What injections show: the share of streams found, and whether memberships are true."""

from __future__ import annotations

import numpy as np
from astropy.table import Table
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from viamachinae.inspect.figures import PANEL_INCHES, house_style
from viamachinae.validate.completeness import completeness, curves

# Okabe & Ito (2008), and a shape for each.
LOOKS = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#56B4E9", "v"))


def completeness_figure(recoveries: Table, level: float) -> Figure:
    """By number of stars, for each width; by surface brightness, for all.

    Parameters
    ----------
    recoveries : astropy.table.Table
        As in `viamachinae.validate.completeness.completeness`, with at least one row.
    level : float
        Confidence of the error bars.
    """
    with house_style():
        figure = Figure((2 * PANEL_INCHES[0], PANEL_INCHES[1]), layout="constrained")
        by_number, by_light = figure.subplots(1, 2, sharey=True)
        of_width = curves(recoveries, level)
        for i, (width, table) in enumerate(of_width.items()):
            # Side by side, so that error bars do not hide each other.
            shift = 1.03 ** (i - (len(of_width) - 1) / 2)
            x = np.asarray(table["low"]) * shift
            _draw(by_number, x, table, LOOKS[i % len(LOOKS)], f"{width:g}° wide")
        by_number.set(xscale="log", xlabel="stars of the stream", ylabel="share found")
        numbers = np.unique(np.asarray(recoveries["n_stars"]))
        by_number.set_xticks(numbers, [str(number) for number in numbers])
        by_number.minorticks_off()
        by_number.set_ylim(-0.03, 1.03)
        by_number.legend(loc="upper left")
        table = completeness(recoveries, level)
        table = table[np.asarray(table["axis"]) == "mag_per_arcsec2"]
        _draw(by_light, (table["low"] + table["high"]) / 2, table, ("0.2", "o"), "all")
        by_light.set(xlabel=r"surface brightness in G (mag arcsec$^{-2}$)")
        for axes in (by_number, by_light):
            axes.grid(color="0.9", linewidth=0.5)
            axes.set_axisbelow(True)
    return figure


def reliability_figure(table: Table) -> Figure:
    """The share of a stream's stars against the membership that they were given.

    Parameters
    ----------
    table : astropy.table.Table
        As `viamachinae.validate.reliability.reliability` gives it.
    """
    with house_style():
        figure = Figure(PANEL_INCHES, layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
        _draw(axes, np.asarray(table["membership"]), table, LOOKS[0], "stars")
        axes.set(xlabel="membership", ylabel="share that is the stream's")
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        axes.grid(color="0.9", linewidth=0.5)
        axes.set_axisbelow(True)
    return figure


def _draw(axes: Axes, x: np.ndarray, table: Table, look: tuple[str, str], label: str) -> None:
    share = np.asarray(table["share"])
    bars = np.stack([share - table["share_low"], table["share_high"] - share])
    axes.errorbar(x, share, bars, color=look[0], marker=look[1], capsize=2, label=label)
