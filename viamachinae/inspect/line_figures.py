"""The figures of a candidate's line: in its patch, along the stream, in the Hough plane, in score.

Functions take what `view` and `track` hold and give a `matplotlib.figure.Figure`, in the house
style of `figures`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from numpy.typing import NDArray

from viamachinae.inspect.ellipses import Ellipses, draw_ellipses
from viamachinae.inspect.figures import (
    HALO,
    LABELS,
    LAYERS,
    PANEL_MARGINS,
    blank_panel,
    house_style,
)
from viamachinae.inspect.track import FrameMotions
from viamachinae.inspect.view import LineView, Profile, profile_across, profile_along
from viamachinae.sky import FramePositions

Bools = NDArray[np.bool_]

BLUE, VERMILLION = "#0072B2", "#D55E00"
PM_LABELS = {
    "pm_phi": r"$\mu_\phi \cos\lambda$ (mas yr$^{-1}$)",
    "pm_lam": r"$\mu_\lambda$ (mas yr$^{-1}$)",
}


def _panel(**margins: float) -> tuple[Figure, Axes]:
    figure = blank_panel(**margins)
    axes = figure.add_subplot()
    axes.grid(color="0.9", linewidth=0.5)
    axes.set_axisbelow(True)
    return figure, axes


def _draw_stars(axes: Axes, view: LineView, x: str, y: str) -> None:
    """Background, listed stars beside the line, and line stars."""
    layers: dict[str, tuple[FramePositions, Bools | slice]] = {
        "background": (view.background, slice(None)),
        "beside": (view.listed, ~view.on_line),
        "line": (view.listed, view.on_line),
    }
    for depth, (name, (stars, kept)) in enumerate(layers.items()):
        places = getattr(stars, x)[kept], getattr(stars, y)[kept]
        axes.scatter(*places, zorder=2 + depth, gid=name, **LAYERS[name])


def _star_legend(figure: Figure, axes: Axes) -> None:
    for name, look in LAYERS.items():
        axes.scatter([], [], label=LABELS[name], **{**look, "s": 20})
    figure.legend(loc="upper center", ncols=len(LAYERS))


def patch_sky(view: LineView) -> Figure:
    """The stars in the frame of the patch, with the line that was found and the disc's rim."""
    with house_style():
        figure, axes = _panel()
        radius = view.patch.evaluation_radius_deg
        _draw_stars(axes, view, "phi", "lam")
        axes.add_patch(Circle((0, 0), radius, fill=False, color="0.5", linewidth=0.8))
        for offset, look in ((0.0, "--"), (-view.half_width_deg, ":"), (view.half_width_deg, ":")):
            axes.plot(*_chord(view, offset), color=BLUE, linestyle=look, linewidth=1, zorder=6)
        half = 1.04 * radius
        axes.set(xlim=(half, -half), ylim=(-half, half), aspect="equal")
        axes.set(xlabel=r"$\phi$ (deg)", ylabel=r"$\lambda$ (deg)")
        _star_legend(figure, axes)
    return figure


def _chord(view: LineView, offset_deg: float) -> tuple[list[float], list[float]]:
    """Ends of the line, shifted sideways, in the evaluation disc: phi and lam, deg."""
    theta, r = np.radians(view.theta_deg), view.r_deg + offset_deg
    half = np.sqrt(max(view.patch.evaluation_radius_deg**2 - r**2, 0.0))
    ends = (-half, half)
    phi = [float(r * np.sin(theta) + t * np.cos(theta)) for t in ends]
    return phi, [float(t * np.sin(theta) - r * np.cos(theta)) for t in ends]


def stream_sky(stars: FrameMotions, on_line: Bools) -> Figure:
    """All stars of the candidate in its own great-circle frame, the scale across stretched."""
    with house_style():
        figure, axes = _panel()
        for depth, (name, kept) in enumerate((("beside", ~on_line), ("line", on_line))):
            places = stars.phi1[kept], stars.phi2[kept]
            axes.scatter(*places, zorder=2 + depth, gid=name, label=LABELS[name], **LAYERS[name])
        axes.axhline(0, color=BLUE, linewidth=1, dashes=(4, 2))
        reach = max(2.0, 4 * float(np.abs(stars.phi2[on_line]).max(initial=0)))
        along = stars.phi1[on_line] if on_line.any() else stars.phi1
        margin = 0.06 * float(np.ptp(along)) + 0.2
        axes.set(xlim=(along.max() + margin, along.min() - margin), ylim=(-reach, reach))
        axes.set(xlabel=r"$\phi_1$ (deg)", ylabel=r"$\phi_2$ (deg)")
        figure.legend(loc="upper center", ncols=2)
    return figure


def hough(view: LineView, limits: tuple[float | None, float | None] = (None, None)) -> Figure:
    """Line significance over angle and offset, and the peak; colours span `limits`."""
    with house_style():
        figure, axes = _panel(top=0.8)
        sigma = np.where(np.isfinite(view.hough.sigma), view.hough.sigma, np.nan)
        axes.grid(False)
        mesh = axes.pcolormesh(
            view.hough.r_deg,
            view.hough.theta_deg,
            sigma,
            vmin=limits[0],
            vmax=limits[1],
            cmap="cividis",
            rasterized=True,
        )
        axes.plot(
            view.r_deg, view.theta_deg, "o", markersize=12, fillstyle="none", color=VERMILLION
        )
        axes.set(xlabel=r"offset $r$ (deg)", ylabel=r"angle $\theta$ (deg)", ylim=(0, 180))
        axes.set_yticks(np.arange(0, 181, 30))
        left, right = PANEL_MARGINS["left"], PANEL_MARGINS["right"]
        above = figure.add_axes((left, 0.865, right - left, 0.02))
        bar = figure.colorbar(mesh, cax=above, orientation="horizontal", ticklocation="top")
        bar.set_label(r"line significance $\sigma_L$")
    return figure


def proper_motion_regions(view: LineView, errors: Ellipses | None = None) -> Figure:
    """Proper motions in the frame of the patch, with the edges of the best signal region.

    Shaded: the signal region; the control region is the rest. The rectangle of each region of
    interest is drawn, that of the seed strong; ellipses where errors are given.
    """
    with house_style():
        figure, axes = _panel()
        _draw_stars(axes, view, "pm_phi", "pm_lam")
        if errors is not None:
            draw_ellipses(axes, errors)
        seed, *others = (_rectangle(view, number) for number in range(len(view.regions)))
        for corner, size in others:
            look: dict[str, Any] = {"linewidth": 0.5, "edgecolor": "0.4", "linestyle": ":"}
            axes.add_patch(Rectangle(corner, *size, fill=False, zorder=5, **look))
        axes.add_patch(Rectangle(seed[0], *seed[1], fill=False, zorder=6, edgecolor=BLUE, lw=1.5))
        scan, low = view.regions[0].scan, view.regions[0].region
        is_phi = scan == "pm_phi"
        (axes.axvspan if is_phi else axes.axhspan)(
            low, low + view.width_masyr, color=BLUE, alpha=0.1, linewidth=0, zorder=1
        )
        middle = np.add(seed[0], np.divide(seed[1], 2))
        half = 1.25 * max(view.width_masyr, view.window_masyr)
        axes.set(
            xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half)
        )
        axes.set(xlabel=PM_LABELS["pm_phi"], ylabel=PM_LABELS["pm_lam"], aspect="equal")
        _name_regions(axes, is_phi, (middle[0] if is_phi else middle[1]), half)
        _star_legend(figure, axes)
    return figure


def _rectangle(view: LineView, number: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Lower left corner and sides of a region of interest in (pm_phi, pm_lam), mas/yr."""
    one = view.regions[number]
    corner, size = (one.region, one.window), (view.width_masyr, view.window_masyr)
    if one.scan == "pm_phi":
        return corner, size
    return (corner[1], corner[0]), (size[1], size[0])


def _name_regions(axes: Axes, is_phi: bool, middle: float, half: float) -> None:
    """Write where signal and control region are, just inside the frame."""
    for shift, name in ((0.0, "signal\nregion"), (0.8 * half, "control\nregion")):
        place = (middle + shift, 0.97) if is_phi else (0.03, middle + shift)
        axes.annotate(
            name,
            place,
            xycoords=("data", "axes fraction") if is_phi else ("axes fraction", "data"),
            ha="center" if is_phi else "left",
            va="top" if is_phi else "center",
            fontsize=8.5,
            color=BLUE,
            path_effects=HALO,
            zorder=7,
        )


def ratios(view: LineView) -> Figure:
    """Distribution of log R in the best signal region: all its stars, and those of the line."""
    with house_style():
        figure, axes = _panel(top=0.86)
        log_ratio, in_window, chosen, on_line = view.ratios
        finite = np.isfinite(log_ratio)
        low, high = np.percentile(log_ratio[finite], [0.5, 100]) if finite.any() else (0.0, 1.0)
        edges = np.linspace(low, high + 1e-6, 41)
        look: dict[str, Any] = {"bins": edges, "histtype": "stepfilled"}
        axes.hist(log_ratio[finite], color="0.8", label="signal region", **look)
        axes.hist(log_ratio[finite & in_window], color="0.55", label="region of interest", **look)
        axes.hist(log_ratio[finite & on_line], color=VERMILLION, label="line stars", **look)
        if chosen.any():
            axes.axvline(log_ratio[chosen].min(), color=BLUE, dashes=(4, 2), label="list begins")
        axes.set(yscale="log", ylim=(0.7, None), xlabel=r"$\ln R$", ylabel="stars")
        axes.set_box_aspect(1)
        figure.legend(loc="upper center", ncols=2)
    return figure


def profiles(view: LineView) -> Figure:
    """Listed stars across the line and along it, on minus off."""
    with house_style():
        figure = blank_panel(top=0.97, hspace=0.42)
        across, along = figure.subplots(2, 1)
        for axes, profile, label in (
            (across, profile_across(view), "across the line (deg)"),
            (along, profile_along(view), "along the line (deg)"),
        ):
            _steps(axes, profile)
            axes.set(xlabel=label, ylabel="on − off (stars)")
        across.axvspan(-view.half_width_deg, view.half_width_deg, color=BLUE, alpha=0.1, lw=0)
    return figure


def _steps(axes: Axes, profile: Profile) -> None:
    middle = (profile.edges_deg[:-1] + profile.edges_deg[1:]) / 2
    axes.axhline(0, color="0.5", linewidth=0.8)
    axes.stairs(profile.excess, profile.edges_deg, color=VERMILLION, linewidth=1.2)
    axes.errorbar(middle, profile.excess, profile.error, fmt="none", ecolor="0.3", elinewidth=0.8)
    axes.set_xlim(profile.edges_deg[0], profile.edges_deg[-1])
