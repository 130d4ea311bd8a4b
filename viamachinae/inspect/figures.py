"""The figures of one candidate: its stars on the sky, in proper motion, in colour and magnitude.

Functions take arrays and give a `matplotlib.figure.Figure`; none touches pyplot. Colours are
those of Okabe & Ito (2008), which stay apart for colour-blind readers; shapes differ as well.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib.patheffects
import matplotlib.style
import numpy as np
import PIL.Image
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnchoredText
from numpy.typing import NDArray

from viamachinae.catalog.ridge_lines import Ridge
from viamachinae.inspect.ellipses import Ellipses, draw_ellipses
from viamachinae.inspect.projection import Directions, frame_of, great_circle, local_axes, local_xy

Array = NDArray[np.float64]

STYLE = {
    "font.size": 10,
    "axes.linewidth": 0.8,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.handletextpad": 0.2,
    "legend.columnspacing": 1.0,
    "savefig.facecolor": "white",
}
PANEL_INCHES = (3.9, 3.9)
PANEL_DPI = 150
# Fixed margins: panels in a row align, and are drawn in half the time that a layout engine takes.
PANEL_MARGINS = {"left": 0.175, "right": 0.965, "bottom": 0.125, "top": 0.88}

# How each kind of star is drawn, from back to front.
LAYERS: dict[str, dict[str, Any]] = {
    "background": {"s": 2, "color": "0.7", "linewidths": 0, "antialiased": False},
    "beside": {"s": 14, "facecolors": "none", "edgecolors": "0.35", "linewidths": 0.7},
    "line": {"s": 22, "facecolors": "#D55E00", "edgecolors": "black", "linewidths": 0.4},
}
# Text over stars keeps a white rim.
HALO = [matplotlib.patheffects.withStroke(linewidth=2.5, foreground="white")]
LABELS = {"background": "background", "beside": "beside the line", "line": "line stars"}


class Stars(NamedTuple):
    """Stars of one layer, arrays of shape (n,).

    `ra`, `dec` in deg; `pmra` (times cos dec), `pmdec` in mas/yr; `colour`, `mag` in mag.
    """

    ra: Array
    dec: Array
    pmra: Array
    pmdec: Array
    colour: Array
    mag: Array


class Layers(NamedTuple):
    """The stars of a candidate.

    `background` is a sample of its best patch, `beside` the stars of its regions of interest that
    are not on the line, `line` those that are.
    """

    background: Stars
    beside: Stars
    line: Stars


@contextmanager
def house_style() -> Iterator[None]:
    """Matplotlib's defaults and the house's few changes, whatever the user's settings are."""
    with matplotlib.style.context(STYLE, after_reset=True):
        yield


def blank_panel(**margins: float) -> Figure:
    """A figure without axes; `margins` replace those of `PANEL_MARGINS`."""
    figure = Figure(PANEL_INCHES)
    figure.subplots_adjust(**{**PANEL_MARGINS, **margins})
    return figure


def png(figure: Figure, dpi: int) -> bytes:
    """The figure as PNG with a palette of 64 colours, the same bytes for the same figure.

    A plot has few colours, and a palette makes it three times smaller than true colour does;
    chosen for coverage, it holds the rare ones as well.
    """
    canvas = FigureCanvasAgg(figure)
    with house_style():
        figure.set_dpi(dpi)
        canvas.draw()
    image = PIL.Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    palette = image.quantize(64, PIL.Image.Quantize.MAXCOVERAGE, dither=PIL.Image.Dither.NONE)
    buffer = io.BytesIO()
    palette.save(buffer, format="png", dpi=(dpi, dpi))
    return buffer.getvalue()


def sky(layers: Layers) -> Figure:
    """Positions, with the great circle through the line stars.

    Parameters
    ----------
    layers : Layers
        With at least one star in `beside` or `line`.
    """
    with house_style():
        figure = blank_panel()
        members = Directions(*np.hstack([layers.beside[:2], layers.line[:2]]))
        axes = local_axes(figure, *frame_of(members))
        points = {
            name: local_xy(axes, Directions(stars.ra, stars.dec))
            for name, stars in layers._asdict().items()
        }
        if len(layers.line.ra):
            arc = great_circle(Directions(layers.line.ra, layers.line.dec))
            axes.plot(*local_xy(axes, arc), color="#0072B2", linewidth=1, dashes=(4, 2))
        _scatter(figure, axes, points)
    return figure


def proper_motions(layers: Layers, errors: Ellipses | None = None) -> Figure:
    """Proper motions on axes of equal scale, framed on the candidate's stars, with errors."""
    with house_style():
        figure = blank_panel()
        axes = figure.add_subplot()
        points = {name: (stars.pmra, stars.pmdec) for name, stars in layers._asdict().items()}
        members = np.hstack([points["beside"], points["line"]])
        low, high = members.min(axis=1), members.max(axis=1)
        # Square and twice as wide as the stars spread, so that their place among others shows.
        middle, half = (low + high) / 2, max(float((high - low).max()), 1.0)
        axes.set(
            xlim=(middle[0] - half, middle[0] + half),
            ylim=(middle[1] - half, middle[1] + half),
            xlabel=r"$\mu_\alpha \cos\delta$ (mas yr$^{-1}$)",
            ylabel=r"$\mu_\delta$ (mas yr$^{-1}$)",
            aspect="equal",
        )
        axes.grid(color="0.9", linewidth=0.5)
        if errors is not None:
            draw_ellipses(axes, errors)
        _scatter(figure, axes, points)
    return figure


def colour_magnitude(
    layers: Layers, colour_label: str, mag_label: str, absent: str, ridge: Ridge | None = None
) -> Figure:
    """Colour against magnitude, bright stars on top, and the ridge line where it is given.

    Stars without photometry are left out and their number stated; `absent` is written where no
    star of the candidate has any.
    """
    with house_style():
        figure = blank_panel()
        axes = figure.add_subplot()
        axes.set(xlabel=colour_label, ylabel=mag_label)
        points = {}
        for name, stars in layers._asdict().items():
            known = np.isfinite(stars.colour) & np.isfinite(stars.mag)
            points[name] = (stars.colour[known], stars.mag[known])
        n_members = len(layers.beside.ra) + len(layers.line.ra)
        n_known = len(points["beside"][0]) + len(points["line"][0])
        axes.grid(color="0.9", linewidth=0.5)
        axes.set_box_aspect(1)
        _scatter(figure, axes, points)
        axes.invert_yaxis()
        if ridge is not None:
            _draw_ridge(axes, ridge)
        if n_known < n_members:
            some = f"{n_members - n_known} of {n_members} stars without photometry"
            note = AnchoredText(some if n_known else absent, "upper left" if n_known else "center")
            note.patch.set(edgecolor="0.8")
            axes.add_artist(note)
    return figure


def _draw_ridge(axes: Axes, ridge: Ridge) -> None:
    """Over the stars; the frame stays theirs."""
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())
    axes.plot(ridge.bp_rp, ridge.g_mag, color="white", linewidth=3.2, zorder=5)
    axes.plot(ridge.bp_rp, ridge.g_mag, color="#0072B2", linewidth=1.6, zorder=5, gid="ridge")


def write_label(figure: Figure, text: str) -> None:
    """Write over the first axes what they show, so that a figure alone cannot mislead."""
    with house_style():
        figure.axes[0].set_title(text, loc="left", fontsize=10, fontweight="bold", pad=4)


def _scatter(figure: Figure, axes: Axes, points: dict[str, tuple[Array, Array]]) -> None:
    for depth, (name, (x, y)) in enumerate(points.items()):
        if len(x):
            axes.scatter(x, y, zorder=2 + depth, gid=name, **LAYERS[name])
            # Small dots would hardly show in the legend.
            axes.scatter([], [], label=LABELS[name], **{**LAYERS[name], "s": 20})
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="upper center", ncols=len(LAYERS))
