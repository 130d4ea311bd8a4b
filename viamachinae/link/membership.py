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
from viamachinae.sky import FramePositions

# Fewer stars than these, or fewer than half of them on the line, fit no mixture.
MIN_STARS = 20
# How likely a star on the line, and one beside it, is taken to belong before the first step.
AT_FIRST = 0.8, 0.05
MAX_STEPS, TOLERANCE = 200, 1e-4
NEVER = 1e-6
# Narrower than these is nothing that Gaia sees of a distant stream: deg and mas/yr.
LEAST_WIDTH, LEAST_SPREAD = 0.05, 0.1
HALF_LOG_2_PI = float(0.5 * np.log(2 * np.pi))


class LineFrames(NamedTuple):
    """Stars of a patch about each of several lines: arrays of shape (n_lines, n_stars).

    Attributes
    ----------
    present : bool array
        False where a line has fewer stars than the array has room for.
    offset_deg : float64 array
        Distance across the line, with a sign.
    pm_phi, pm_lam : float64 arrays
        mas/yr.
    on_line : bool array
    """

    present: Bools
    offset_deg: Floats
    pm_phi: Floats
    pm_lam: Floats
    on_line: Bools

    def of_lines(self, lines: Ints) -> LineFrames:
        """Those of some of the lines."""
        motions = self.pm_phi[lines], self.pm_lam[lines]
        return LineFrames(
            self.present[lines], self.offset_deg[lines], *motions, self.on_line[lines]
        )


def memberships(
    stars: LineFrames, r_deg: Floats, radius_deg: float, max_width_deg: float
) -> Floats:
    """Probability of each star to belong to the stream along a line; one fit for each line.

    Parameters
    ----------
    stars : LineFrames
        Each star of a line once.
    r_deg : float64 array of shape (n_lines,)
        Distance of the lines from the centre of the disc.
    radius_deg : float
        Of the disc in which stars are evaluated.
    max_width_deg : float
        Largest standard deviation across the line.

    Returns
    -------
    float64 array of shape (n_lines, n_stars)
        NaN where no star is, and where a line has too few stars for a fit.
    """
    # The flat frame reaches a little beyond the disc's radius: no star is where there is no chord.
    where = np.minimum(np.abs(r_deg[:, None] + stars.offset_deg), radius_deg - LEAST_WIDTH)
    chord = 2 * np.sqrt(radius_deg**2 - where**2)
    even = np.log(chord / (np.pi * radius_deg**2))
    belongs = np.where(stars.on_line, *AT_FIRST)
    n_on = np.count_nonzero(stars.on_line & stars.present, axis=1)
    enough = (np.count_nonzero(stars.present, axis=1) >= MIN_STARS) & (n_on >= MIN_STARS / 2)
    fitting = np.flatnonzero(enough)
    for _ in range(MAX_STEPS):
        own = stars.of_lines(fitting)
        after = _step(own, even[fitting], belongs[fitting], max_width_deg)
        moved = np.abs(after - belongs[fitting]).max(axis=1, where=own.present, initial=0)
        belongs[fitting] = after
        fitting = fitting[moved >= TOLERANCE]
        if not len(fitting):
            break
    return np.where(stars.present & enough[:, None], belongs, np.nan)


def _step(stars: LineFrames, even: Floats, belongs: Floats, max_width_deg: float) -> Floats:
    """One step of expectation maximisation; `even` is ln of the background's density in place."""
    inside, outside = belongs * stars.present, (1 - belongs) * stars.present
    share = inside.sum(axis=1, keepdims=True) / stars.present.sum(axis=1, keepdims=True)
    width = np.minimum(_spread(stars.offset_deg, inside, LEAST_WIDTH), max_width_deg)
    stream = _log_normal(stars.offset_deg, width) + _motions(stars, inside) + np.log(share)
    background = even + _motions(stars, outside) + np.log1p(-share)
    # Never quite certain, so that neither population loses all its stars.
    clipped: Floats = np.clip(expit(stream - background), NEVER, 1 - NEVER)
    return clipped


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
        Of `memberships`.

    Returns
    -------
    float64 array of shape (n_members,)
    """
    result = np.full(len(members.candidate), np.nan)
    order = np.argsort(members.candidate, kind="stable")
    ends = np.searchsorted(members.candidate[order], [label[best], label[best] + 1])
    for number in np.unique(found.patch[best]):
        here = np.flatnonzero(found.patch[best] == number)
        rows, line = _rows_of_lines(order, ends[:, here])
        patch = linked[number].patch
        ra, dec, pmra, pmdec = (members.star[key][rows] for key in ("ra", "dec", "pmra", "pmdec"))
        inside = patch.separation_deg(ra, dec) < patch.evaluation_radius_deg
        rows, line = rows[inside], line[inside]
        place = patch.to_frame(ra[inside], dec[inside], pmra[inside], pmdec[inside])
        theta, r_deg = np.radians(found.theta_deg[best[here]]), found.r_deg[best[here]]
        offset = place.phi * np.sin(theta[line]) - place.lam * np.cos(theta[line]) - r_deg[line]
        frames = _frames(line, len(here), offset, place, members.on_line[rows])
        belongs = memberships(frames, r_deg, patch.evaluation_radius_deg, max_width_deg)
        result[rows] = np.fmax(result[rows], belongs[frames.present])
    return result


def _rows_of_lines(order: Ints, ends: Ints) -> tuple[Ints, Ints]:
    """Members of the candidates of lines, by line, and the line of each."""
    lists = [order[first:last] for first, last in ends.T]
    return np.concatenate(lists), np.repeat(np.arange(len(lists)), [len(one) for one in lists])


def _frames(
    line: Ints, n_lines: int, offset: Floats, place: FramePositions, on: Bools
) -> LineFrames:
    """Stars that stand line by line, with a row for each line."""
    n_stars = np.bincount(line, minlength=n_lines)
    present: Bools = np.arange(n_stars.max(initial=0)) < n_stars[:, None]
    table, flag = np.zeros((3, *present.shape)), np.zeros(present.shape, dtype=np.bool_)
    table[:, present], flag[present] = (offset, place.pm_phi, place.pm_lam), on
    across, pm_phi, pm_lam = table
    return LineFrames(present, across, pm_phi, pm_lam, flag)


def _motions(stars: LineFrames, weight: Floats) -> Floats:
    """Ln of the Gaussian density of the proper motions, fitted to weighted stars."""
    total = np.zeros(weight.shape)
    for values in (stars.pm_phi, stars.pm_lam):
        mean = (weight * values).sum(axis=1, keepdims=True) / weight.sum(axis=1, keepdims=True)
        total += _log_normal(values - mean, _spread(values - mean, weight, LEAST_SPREAD))
    return total


def _spread(residual: Floats, weight: Floats, least: float) -> Floats:
    """Standard deviation of the weighted stars of each line, shape (n_lines, 1)."""
    square = (weight * residual**2).sum(axis=1, keepdims=True)
    spread: Floats = np.maximum(least, np.sqrt(square / weight.sum(axis=1, keepdims=True)))
    return spread


def _log_normal(residual: Floats, spread: Floats) -> Floats:
    """Ln of a Gaussian about zero; scipy's checks would take most of the time."""
    height: Floats = -0.5 * (residual / spread) ** 2 - (np.log(spread) + HALF_LOG_2_PI)
    return height
