"""Where the scan looked and what it found: the whole sky, and the part that was scanned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from viamachinae.catalog.known import Kind, known_of
from viamachinae.inspect.figures import HALO, house_style
from viamachinae.inspect.projection import (
    Directions,
    circle,
    frame_of,
    galactic_axes,
    galactic_xy,
    local_axes,
    local_xy,
)
from viamachinae.sky import Patch, direction

Array = NDArray[np.float64]
Project = Callable[[Directions], tuple[Array, Array]]

# Colours of Okabe & Ito (2008); marker and line style tell the outcomes apart without colour.
OUTCOMES: dict[str, dict[str, Any]] = {
    "done": {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    "no_work": {"color": "#777777", "marker": "s", "linestyle": ":"},
    "partial": {"color": "#E69F00", "marker": "^", "linestyle": "--"},
    "unprocessable": {"color": "#CC79A7", "marker": "X", "linestyle": "-."},
    "upstream_failed": {"color": "#56B4E9", "marker": "D", "linestyle": "--"},
    "failed": {"color": "#D55E00", "marker": "v", "linestyle": "-"},
}
MAP_DPI = 200
ALL_SKY_INCHES = (5.2, 3.5)
LOCAL_INCHES = (4.6, 5.0)
# Beyond this radius the all-sky map shows as much as a local one.
LOCAL_MAX_RADIUS_DEG = 60.0
# More patches than this would cover the local map with names.
LOCAL_MAX_NAMES = 15

# Known objects, faint and behind all else, by kind.
KNOWN: dict[Kind, dict[str, Any]] = {
    "stream": {"color": "#009E73", "linewidth": 0.7, "linestyle": "-", "alpha": 0.55},
    "cluster": {"color": "0.55", "marker": "+", "markersize": 3.5, "linestyle": "none"},
    "dwarf": {"color": "0.55", "marker": "d", "markersize": 3, "linestyle": "none"},
}
KNOWN_LABELS: dict[Kind, str] = {
    "stream": "known stream",
    "cluster": "globular cluster",
    "dwarf": "dwarf galaxy",
}

_BREAK = Directions(np.array([np.nan]), np.array([np.nan]))


class Track(NamedTuple):
    """A candidate on a map: its number, its middle (ICRS, deg) and its line stars."""

    rank: int
    ra: float
    dec: float
    line: Directions


def all_sky(patches: Sequence[Patch], outcomes: Sequence[str], tracks: Sequence[Track]) -> Figure:
    """Mollweide map in Galactic coordinates, l growing to the left.

    Parameters
    ----------
    patches : sequence of Patch
        Drawn as the rims of their evaluation discs.
    outcomes : sequence of str
        One of `OUTCOMES` for each patch.
    tracks : sequence of Track
        Candidates, drawn as their line stars with their ranks.
    """
    with house_style():
        figure = Figure(ALL_SKY_INCHES, layout="constrained")
        axes = galactic_axes(figure)
        _draw_known(axes, galactic_xy, None)
        _draw_patches(axes, galactic_xy, patches, outcomes)
        _draw_tracks(axes, galactic_xy, tracks)
        _legend(figure, outcomes, tracks)
    return figure


def local(patches: Sequence[Patch], outcomes: Sequence[str], tracks: Sequence[Track]) -> Figure:
    """Map of the scanned part of the sky in ICRS, ra growing to the left; arguments as `all_sky`.

    Patches are named where there are few enough of them.
    """
    with house_style():
        figure = Figure(LOCAL_INCHES, layout="constrained")
        frame = frame_of(_rims(patches))
        axes = local_axes(figure, *frame)
        project = partial(local_xy, axes)
        _draw_known(axes, project, frame)
        _draw_patches(axes, project, patches, outcomes)
        _draw_tracks(axes, project, tracks)
        if len(patches) <= LOCAL_MAX_NAMES:
            _name_patches(axes, project, patches)
        _legend(figure, outcomes, tracks)
    return figure


def fits_local(patches: Sequence[Patch]) -> bool:
    """Whether the patches cover so little of the sky that a local map shows more."""
    return frame_of(_rims(patches))[2] <= LOCAL_MAX_RADIUS_DEG


def _rims(patches: Sequence[Patch]) -> Directions:
    rims = [circle(patch.ra, patch.dec, patch.evaluation_radius_deg) for patch in patches]
    return Directions(*np.hstack(rims))


def _centres(patches: Sequence[Patch]) -> Directions:
    return Directions(np.array([p.ra for p in patches]), np.array([p.dec for p in patches]))


def _draw_known(axes: Axes, project: Project, frame: tuple[float, float, float] | None) -> None:
    """Known streams, clusters and dwarfs; those within a frame (ra, dec, radius, deg) alone."""
    for kind, style in KNOWN.items():
        shown = []
        for one in known_of(kind):
            points = Directions(one.nodes.ra, one.nodes.dec)
            if one.preferred and (frame is None or _touches(points, frame)):
                shown += [points, _BREAK]
        if shown:
            # As one line with breaks: each projection of its own takes its time.
            together = Directions(*np.hstack(shown))
            axes.plot(*project(together), zorder=1.5, gid=f"known {kind}", **style)


def _touches(points: Directions, frame: tuple[float, float, float]) -> bool:
    ra, dec, radius = np.radians(frame)
    # The frame is a square about its disc.
    cosine = np.cos(min(np.sqrt(2) * radius, np.pi))
    towards = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    return bool(np.any(direction(points.ra, points.dec) @ towards > cosine))


def _draw_patches(
    axes: Axes, project: Project, patches: Sequence[Patch], outcomes: Sequence[str]
) -> None:
    for patch, outcome in zip(patches, outcomes, strict=True):
        style = OUTCOMES[outcome]
        rim = project(circle(patch.ra, patch.dec, patch.evaluation_radius_deg))
        # What is not done is drawn over what is, and stronger: a scan is mostly done.
        alpha, zorder = (0.5, 2.0) if outcome == "done" else (1.0, 2.5)
        look: dict[str, Any] = {"color": style["color"], "alpha": alpha, "zorder": zorder}
        axes.plot(*rim, linestyle=style["linestyle"], linewidth=0.8, **look)
        centre = project(_centres([patch]))
        axes.scatter(*centre, s=14, marker=style["marker"], **look)


def _name_patches(axes: Axes, project: Project, patches: Sequence[Patch]) -> None:
    """Inside the northern rim, where they hide few of the stars."""
    for patch in patches:
        rim = circle(patch.ra, patch.dec, 0.88 * patch.evaluation_radius_deg, n=2)
        x, y = project(rim)
        axes.annotate(
            patch.id, (x[0], y[0]), ha="center", va="center", fontsize=8, path_effects=HALO
        )


def _draw_tracks(axes: Axes, project: Project, tracks: Sequence[Track]) -> None:
    # Many numbers must be small to leave the map to be seen.
    size = 10 if len(tracks) <= 15 else 7
    for track in tracks:
        axes.scatter(*project(track.line), s=2, color="black", linewidths=0, zorder=3)
        x, y = project(Directions(np.array([track.ra]), np.array([track.dec])))
        axes.annotate(
            str(track.rank),
            (x[0], y[0]),
            (5, 5),
            textcoords="offset points",
            zorder=4,
            fontsize=size,
            fontweight="bold",
            path_effects=HALO,
        )


def _legend(figure: Figure, outcomes: Sequence[str], tracks: Sequence[Track]) -> None:
    """Only the outcomes that occur, with the number of their patches."""
    handles = [
        Line2D([], [], label=f"{name} ({outcomes.count(name)})", markersize=4, **style)
        for name, style in OUTCOMES.items()
        if name in outcomes
    ]
    if tracks:
        dots = Line2D([], [], marker="o", markersize=2, color="black", linestyle="none")
        dots.set_label("line stars, with rank")
        handles.append(dots)
    drawn = {line.get_gid() for line in figure.axes[0].lines}
    handles += [
        Line2D([], [], label=KNOWN_LABELS[kind], **style)
        for kind, style in KNOWN.items()
        if f"known {kind}" in drawn
    ]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=3, handlelength=2.6, handletextpad=0.6
    )
