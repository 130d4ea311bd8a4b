"""A candidate beside what it is held against: a null region, and one with a stream injected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from viamachinae.inspect import figures, line_figures
from viamachinae.inspect.figures import Layers, Stars
from viamachinae.inspect.pictures import Picture, picture
from viamachinae.inspect.view import LineView

Floats = NDArray[np.float64]


class Reference(NamedTuple):
    """One region of interest and its most significant line.

    Attributes
    ----------
    label : str
        What it is, written into its figures.
    view : LineView
        Its line.
    n_region : int
        Fiducial stars in the region of interest.
    colour, mag : float64 arrays of shape (n_listed,)
        Of the stars of its list, mag; NaN where not known.
    """

    label: str
    view: LineView
    n_region: int
    colour: Floats
    mag: Floats


def reference_panels(
    references: Sequence[Reference], background: Stars, labels: tuple[str, str], absent: str
) -> list[Picture]:
    """Four figures of each: sky, Hough plane, proper motions, colour and magnitude.

    The figures of one kind follow each other, all on the same scales.

    Parameters
    ----------
    references : sequence of Reference
        The candidate's own region first.
    background : Stars
        Drawn in grey in the diagrams of colour and magnitude.
    labels, absent : str
        As `figures.colour_magnitude` takes them.
    """
    planes = [one.view.hough.sigma[np.isfinite(one.view.hough.sigma)] for one in references]
    limits = min(map(np.min, planes)), max(map(np.max, planes))
    panels = []
    for one in references:
        figure = line_figures.patch_sky(one.view)
        panels.append(_labelled(figure, one, f"its {_found(one)}"))
    for one in references:
        figure = line_figures.hough(one.view, limits)
        text = f"Hough plane of its list; circle: the peak, {_sigma(one)}, on one scale for all"
        panels.append(_labelled(figure, one, text))
    for one in references:
        figure = line_figures.proper_motion_regions(one.view)
        panels.append(_labelled(figure, one, f"proper motions, in {_edges(one.view)}"))
    for one in references:
        figure = figures.colour_magnitude(_layers(one, background), *labels, absent)
        panels.append(_labelled(figure, one, "colour and magnitude of its list"))
    return panels


def _labelled(figure: Figure, one: Reference, text: str) -> Picture:
    figures.write_label(figure, one.label)
    alt = f"{one.label} in patch {one.view.patch.id}: {text}, in {_edges(one.view)}."
    return picture(figure, figures.PANEL_DPI, alt, f"{one.label}: {text}.")


def _sigma(one: Reference) -> str:
    return f"σ_L = {one.view.sigma:.1f}"


def _found(one: Reference) -> str:
    n_line, n = int(one.view.on_line.sum()), len(one.view.on_line)
    return f"{n} stars of highest score out of {one.n_region}, {n_line} on the line, {_sigma(one)}"


def _edges(view: LineView) -> str:
    seed = view.regions[0]
    other = "pm_lam" if seed.scan == "pm_phi" else "pm_phi"
    ends = seed.region + view.width_masyr, seed.window + view.window_masyr
    text = f"{seed.scan} {seed.region:g} to {ends[0]:g}, {other} {seed.window:g} to {ends[1]:g}"
    return text.replace("-", "−") + " mas/yr"


def _layers(one: Reference, background: Stars) -> Layers:
    def stars(kept: NDArray[np.bool_]) -> Stars:
        nowhere = np.full(int(kept.sum()), np.nan)
        return Stars(nowhere, nowhere, nowhere, nowhere, one.colour[kept], one.mag[kept])

    return Layers(background, stars(~one.view.on_line), stars(one.view.on_line))
