"""The figure of measurements: bars of rates, one panel a kind of work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from viamachinae.bench.libraries import LIBRARIES
from viamachinae.bench.shapes import WORKS
from viamachinae.bench.speed import Speed
from viamachinae.bench.table import usual_batch

# Of Okabe and Ito, so that all readers can tell them apart; ours are the two reds.
COLOURS = ["#E69F00", "#D55E00", "#56B4E9", "#0072B2", "#009E73", "#999999"]


def save_figure(speeds: Sequence[Speed], path: Path) -> None:
    """Draw the rates of one batch size and stack, those nearest to 512 and 16, into a PNG file."""
    batch = usual_batch(speeds)
    stack = min({speed.stack for speed in speeds}, key=lambda s: abs(s - 16))
    shown = [speed for speed in speeds if (speed.batch, speed.stack) == (batch, stack)]
    works = [work for work in WORKS if any(speed.work == work for speed in shown)]
    figure = Figure(figsize=(4 * len(works) + 1, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    all_axes = np.atleast_1d(figure.subplots(1, len(works), sharey=True))
    for axes, work in zip(all_axes, works, strict=True):
        _bars(axes, [speed for speed in shown if speed.work == work])
        axes.set_title(work)
        axes.set_xlabel("thousand stars a second")
    handles, labels = all_axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(LIBRARIES))
    models = "one model" if stack == 1 else f"{stack} models"
    figure.suptitle(f"{models}, batch {batch}")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _bars(axes: Axes, speeds: Sequence[Speed]) -> None:
    shapes = list(dict.fromkeys(speed.shape for speed in speeds))
    height = 0.8 / len(LIBRARIES)
    for number, (name, colour) in enumerate(zip(LIBRARIES, COLOURS, strict=True)):
        own = {speed.shape: speed.cpu for speed in speeds if speed.library == name}
        rates = [own.get(shape, np.nan) / 1e3 for shape in shapes]
        places = np.arange(len(shapes)) + (number - (len(LIBRARIES) - 1) / 2) * height
        axes.barh(places, rates, height, color=colour, label=name)
    axes.set_yticks(np.arange(len(shapes)), shapes)
    axes.set_ylim(len(shapes) - 0.5, -0.5)
