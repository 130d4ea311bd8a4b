"""The line of a candidate in its best patch, as its figures show it: arrays, no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from viamachinae.sky import FramePositions, Patch

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# The part of a profile that is neither line nor background (ours): up to this many half widths.
GAP = 2.0
# How far to the sides a profile reaches, in half widths of the line (ours).
REACH = 8.0
# Areas are sums over squares of this side.
AREA_STEP_DEG = 0.05


class Region(NamedTuple):
    """A region of interest: scanned proper motion, lower edges (mas/yr), its own significance."""

    scan: str
    region: float
    window: float
    sigma: float


class HoughMap(NamedTuple):
    """Line significance over the Hough plane, shape (n_theta, n_r), and its axes, deg."""

    theta_deg: Floats
    r_deg: Floats
    sigma: Floats


class Ratios(NamedTuple):
    """log R of the fiducial stars of a signal region, shape (n,).

    `in_window` tells the stars of the region of interest, `chosen` those of its list, `on_line`
    those of the candidate's line.
    """

    log_ratio: Floats
    in_window: Bools
    chosen: Bools
    on_line: Bools


@dataclass(frozen=True)
class LineView:
    """The best protocluster of a candidate, in the frame of its patch.

    Attributes
    ----------
    patch : Patch
        Where it is.
    theta_deg, r_deg, sigma : float
        Its line r = phi sin(theta) - lam cos(theta), and the significance.
    half_width_deg : float
        Half the width of the line.
    background : FramePositions
        A sample of the fiducial stars.
    listed : FramePositions
        The stars of its regions of interest, each once.
    on_line : bool array
        Which of `listed` lie on the line.
    hough : HoughMap
        Of its star lists put together.
    regions : sequence of Region
        The seed first.
    width_masyr, window_masyr : float
        Widths of signal region and window.
    ratios : Ratios
        In the signal region of the seed.
    cutflow : sequence of mapping
        Rows of the patch's cut-flow.
    """

    patch: Patch
    theta_deg: float
    r_deg: float
    sigma: float
    half_width_deg: float
    background: FramePositions
    listed: FramePositions
    on_line: Bools
    hough: HoughMap
    regions: Sequence[Region]
    width_masyr: float
    window_masyr: float
    ratios: Ratios
    cutflow: Sequence[Mapping[str, Any]]


class Profile(NamedTuple):
    """Stars on minus off: bin edges (deg, shape (n + 1,)), excess and its error, shape (n,)."""

    edges_deg: Floats
    excess: Floats
    error: Floats


def along_and_across(view: LineView) -> tuple[Floats, Floats]:
    """Places of the listed stars along the line and across it, deg, shape (n,)."""
    sin, cos = np.sin(np.radians(view.theta_deg)), np.cos(np.radians(view.theta_deg))
    phi, lam = view.listed.phi, view.listed.lam
    return phi * cos + lam * sin, phi * sin - lam * cos - view.r_deg


def profile_across(view: LineView, n_bins: int = 33) -> Profile:
    """Listed stars by their distance from the line, over the mean density beside it."""
    reach = REACH * view.half_width_deg
    edges = np.linspace(-reach, reach, n_bins + 1)
    _, across = along_and_across(view)
    _, lattice = _lattice(view, reach)
    count, area = np.histogram(across, edges)[0], _area(lattice, edges)
    beside = np.abs(edges[:-1] + edges[1:]) / 2 > GAP * view.half_width_deg
    n_off, area_off = count[beside].sum(), area[beside].sum()
    share = area / area_off if area_off else np.zeros(n_bins)
    return Profile(edges, count - share * n_off, np.sqrt(count + share**2 * n_off))


def profile_along(view: LineView, n_bins: int = 20) -> Profile:
    """Stars on the line by their place along it, minus those beside it at the same place."""
    radius, reach = view.patch.evaluation_radius_deg, REACH * view.half_width_deg
    edges = np.linspace(-radius, radius, n_bins + 1)
    counts: list[Floats] = []
    areas: list[Floats] = []
    stars, points = along_and_across(view), _lattice(view, reach)
    for low, high in ((0.0, view.half_width_deg), (GAP * view.half_width_deg, reach)):
        for (along, across), found in ((stars, counts), (points, areas)):
            chosen = (np.abs(across) >= low) & (np.abs(across) < high)
            found.append(np.histogram(along[chosen], edges)[0].astype(np.float64))
    (n_on, n_off), (on, off) = counts, areas
    share = np.divide(on, off, out=np.zeros_like(on), where=off > 0)
    return Profile(edges, n_on - share * n_off, np.sqrt(n_on + share**2 * n_off))


def _lattice(view: LineView, reach_deg: float) -> tuple[Floats, Floats]:
    """Evenly spaced points of the evaluation disc near the line: along it and across it, deg."""
    radius = view.patch.evaluation_radius_deg
    axes = (np.arange(-end + AREA_STEP_DEG / 2, end, AREA_STEP_DEG) for end in (radius, reach_deg))
    along, across = (grid.ravel() for grid in np.meshgrid(*axes))
    inside = np.hypot(along, across + view.r_deg) < radius
    return along[inside], across[inside]


def _area(places: Floats, edges: Floats) -> Floats:
    """Area by bin of a coordinate of the lattice, deg²."""
    return np.histogram(places, edges)[0] * AREA_STEP_DEG**2
