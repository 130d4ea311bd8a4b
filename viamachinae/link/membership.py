"""How likely a star of a candidate's lists belongs to it, and not to the background (ours).

The lists of a candidate hold the stars of highest score about its line, most of them background.
In each patch they are a mixture of two populations: the stream, Gaussian across the line and in
both proper motions, and the background, even over the disc and Gaussian in the proper motions.
Share, width and motions are fitted by expectation maximisation from the line that was found; a
star's membership is its share of the stream at where it is. It takes the score into account only
by the choice of the stars.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from viamachinae.link.hough import Bools, Floats, Ints
from viamachinae.link.members import Members
from viamachinae.link.streams import LinkedPatch, Protostreams
from viamachinae.sky import FramePositions, Patch

# Fewer stars than these, or fewer than half of them on the line, fit no mixture.
MIN_STARS = 20
# How likely a star on the line, and one beside it, is taken to belong before the first step.
AT_FIRST = 0.8, 0.05
MAX_STEPS, TOLERANCE = 200, 1e-4
NEVER = 1e-6
# Narrower than these is nothing that Gaia sees of a distant stream: deg and mas/yr.
LEAST_WIDTH, LEAST_SPREAD = 0.05, 0.1
HALF_LOG_2_PI = float(0.5 * np.log(2 * np.pi))


class LineFrame(NamedTuple):
    """Stars of a patch about a line, arrays of shape (n,).

    Attributes
    ----------
    offset_deg : float64 array
        Distance across the line, with a sign.
    pm_phi, pm_lam : float64 arrays
        mas/yr.
    on_line : bool array
    """

    offset_deg: Floats
    pm_phi: Floats
    pm_lam: Floats
    on_line: Bools


def membership(stars: LineFrame, r_deg: float, radius_deg: float, max_width_deg: float) -> Floats:
    """Probability of each star to belong to the stream along a line.

    Parameters
    ----------
    stars : LineFrame
        Each star once.
    r_deg : float
        Distance of the line from the centre of the disc.
    radius_deg : float
        Of the disc in which stars are evaluated.
    max_width_deg : float
        Largest standard deviation across the line.

    Returns
    -------
    float64 array of shape (n,)
        NaN where there are too few stars for a fit.
    """
    n_on = np.count_nonzero(stars.on_line)
    if len(stars.on_line) < MIN_STARS or n_on < MIN_STARS / 2:
        return np.full(len(stars.on_line), np.nan)
    where = r_deg + stars.offset_deg
    chord = 2 * np.sqrt(np.maximum(radius_deg**2 - where**2, 0))
    with np.errstate(divide="ignore"):
        even = np.log(chord / (np.pi * radius_deg**2))
    belongs = np.where(stars.on_line, *AT_FIRST)
    for _ in range(MAX_STEPS):
        share = belongs.mean()
        width = _spread(stars.offset_deg, belongs, LEAST_WIDTH)
        stream = _log_normal(stars.offset_deg, min(width, max_width_deg))
        stream += _motions(stars, belongs) + np.log(share)
        background = even + _motions(stars, 1 - belongs) + np.log1p(-share)
        # Never quite certain, so that neither population loses all its stars.
        before, belongs = belongs, np.clip(expit(stream - background), NEVER, 1 - NEVER)
        if np.abs(belongs - before).max() < TOLERANCE:
            break
    return belongs


def candidate_memberships(
    linked: Sequence[LinkedPatch],
    found: Protostreams,
    label: Ints,
    best: Ints,
    members: Members,
    max_width_deg: float,
) -> Floats:
    """Membership of the stars of all candidates; of a star in several patches the largest.

    Parameters
    ----------
    linked : sequence of LinkedPatch
        All patches.
    found : Protostreams
        Of these patches.
    label, best : int64 arrays
        The candidate of each protostream, and the protostreams whose lines are taken.
    members : Members
    max_width_deg : float
        Of `membership`.

    Returns
    -------
    float64 array of shape (n_members,)
    """
    result = np.full(len(members.candidate), np.nan)
    order = np.argsort(members.candidate, kind="stable")
    ends = np.searchsorted(members.candidate[order], [label[best], label[best] + 1])
    for number in np.unique(found.patch[best]):
        here = np.flatnonzero(found.patch[best] == number)
        lists = [order[first:last] for first, last in ends[:, here].T]
        # Into the patch's frame all at once: for each list apart it takes most of the time.
        rows = np.unique(np.concatenate(lists))
        patch = linked[number].patch
        place, inside = _placed(patch, members, rows)
        for line, own in zip(best[here], lists, strict=True):
            at = np.searchsorted(rows, own)
            own, at = own[inside[at]], at[inside[at]]
            theta, r_deg = np.radians(found.theta_deg[line]), float(found.r_deg[line])
            offset = place.phi[at] * np.sin(theta) - place.lam[at] * np.cos(theta) - r_deg
            stars = LineFrame(offset, place.pm_phi[at], place.pm_lam[at], members.on_line[own])
            belongs = membership(stars, r_deg, patch.evaluation_radius_deg, max_width_deg)
            result[own] = np.fmax(result[own], belongs)
    return result


def _placed(patch: Patch, members: Members, rows: Ints) -> tuple[FramePositions, Bools]:
    """Members in a patch's frame, and which of them are within its evaluation disc."""
    ra, dec, pmra, pmdec = (members.star[name][rows] for name in ("ra", "dec", "pmra", "pmdec"))
    inside = patch.separation_deg(ra, dec) < patch.evaluation_radius_deg
    return patch.to_frame(ra, dec, pmra, pmdec), inside


def _motions(stars: LineFrame, weight: Floats) -> Floats:
    """Ln of the Gaussian density of the proper motions, fitted to weighted stars."""
    total = np.zeros(len(weight))
    for values in (stars.pm_phi, stars.pm_lam):
        mean = float(weight @ values / weight.sum())
        total += _log_normal(values - mean, _spread(values - mean, weight, LEAST_SPREAD))
    return total


def _spread(residual: Floats, weight: Floats, least: float) -> float:
    return max(least, float(np.sqrt(weight @ residual**2 / weight.sum())))


def _log_normal(residual: Floats, spread: float) -> Floats:
    """Ln of a Gaussian about zero; scipy's checks would take most of the time."""
    height: Floats = -0.5 * (residual / spread) ** 2 - (np.log(spread) + HALF_LOG_2_PI)
    return height
