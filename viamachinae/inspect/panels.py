"""The figures of a candidate with their captions, in the order of doubt."""

from __future__ import annotations

import numpy as np
from astropy.table import Table

from viamachinae.inspect import figures, line_figures
from viamachinae.inspect.candidate import GAIA_PHOTOMETRY, Candidate, layers
from viamachinae.inspect.ellipses import (
    ellipses,
    has_correlation,
    in_patch_frame,
    pm_covariance,
)
from viamachinae.inspect.figures import Layers, Stars
from viamachinae.inspect.files import own_frame
from viamachinae.inspect.pictures import Picture, counted, picture
from viamachinae.inspect.references import reference_panels

_GAIA_LABELS = (r"$G_\mathrm{BP} - G_\mathrm{RP}$ (mag)", r"$G$ (mag)")


def panels(candidate: Candidate) -> list[Picture]:
    """All figures of a candidate, in the order of doubt."""
    stars = layers(candidate.members, candidate.background, candidate.photometry)
    return [*_places(candidate, stars), *_peaks(candidate, stars), *_judges(candidate, stars)]


def references(candidate: Candidate) -> list[Picture]:
    """Figures of the candidate's best region of interest beside those of its references."""
    if not candidate.references:
        return []
    stars = layers(candidate.members, candidate.background, candidate.photometry)
    labels, absent, _ = _photometry(candidate)
    return reference_panels(candidate.references, stars.background, labels, absent)


def _photometry(candidate: Candidate) -> tuple[tuple[str, str], str, str]:
    """Labels of colour and magnitude, words for their absence, and for the diagram."""
    colour, mag = candidate.photometry
    if candidate.photometry == GAIA_PHOTOMETRY:
        return _GAIA_LABELS, "no Gaia photometry", "G against BP − RP"
    return (colour, mag), "no photometry", f"{mag} against {colour}"


def star_counts(n_line: int, n_beside: int) -> str:
    """Stars on the line and beside it, in words."""
    return f"{counted(n_line, 'line star', 'line stars')}, {n_beside} beside the line"


def _places(candidate: Candidate, stars: Layers) -> list[Picture]:
    name, view = candidate.name, candidate.view
    counts = star_counts(len(stars.line.ra), len(stars.beside.ra))
    here = star_counts(int(view.on_line.sum()), int((~view.on_line).sum()))
    _, places = own_frame(candidate.members)
    on_line = np.asarray(candidate.members["on_line"], dtype=np.bool_)
    n_grey = len(stars.background.ra)
    grey = f" Grey: {n_grey} fiducial stars of its best patch." if n_grey else ""
    return [
        picture(
            figures.sky(stars),
            figures.PANEL_DPI,
            f"Positions of the stars of {name} in right ascension and declination: {counts}.",
            f"Sky, all patches: {counts}. Dashed: the great circle through the line stars.{grey}",
        ),
        picture(
            line_figures.patch_sky(view),
            figures.PANEL_DPI,
            f"Positions of the stars of {name} in the frame of patch {view.patch.id}: {here}.",
            f"Best patch, {view.patch.id}: {here}. Dashed: the line at θ = {view.theta_deg:.1f}°, "
            f"r = {view.r_deg:.1f}°; dotted: its width.".replace("-", "−"),
        ),
        picture(
            line_figures.stream_sky(places, on_line),
            figures.PANEL_DPI,
            f"Positions of the stars of {name} along and across its great circle.",
            "Its own great-circle frame: along (φ₁) and, stretched, across (φ₂). A stream may "
            "bend; an imprint of the survey follows its scans.",
        ),
    ]


def _peaks(candidate: Candidate, stars: Layers) -> list[Picture]:
    name, view = candidate.name, candidate.view
    peak = float(view.hough.sigma.max())
    return [
        picture(
            line_figures.hough(view),
            figures.PANEL_DPI,
            f"Line significance of the stars of {name} over angle and offset of the line; the "
            f"peak of {peak:.1f} is circled.",
            f"Hough plane of {counted(len(view.regions), 'star list', 'star lists')} put "
            f"together; circle: the peak, σ_L = {peak:.1f}.",
        ),
        _motions_in_patch(candidate),
        _motions(name, stars, candidate.members),
    ]


def _motions_in_patch(candidate: Candidate) -> Picture:
    view, seed = candidate.view, candidate.view.regions[0]
    edges = f"{seed.region:g} to {seed.region + view.width_masyr:g} mas/yr".replace("-", "−")
    line = _line_stars(candidate.members)
    line = line[view.patch.separation_deg(line["ra"], line["dec"]) < view.patch.radius_deg]
    errors = pm_covariance(line)
    found = None
    if errors is not None:
        ra, dec, pmra, pmdec = (np.asarray(line[one]) for one in ("ra", "dec", "pmra", "pmdec"))
        motion = view.patch.to_frame(ra, dec, pmra, pmdec)
        errors = in_patch_frame(errors, ra, dec, view.patch)
        found = ellipses(motion.pm_phi, motion.pm_lam, errors)
    return picture(
        line_figures.proper_motion_regions(view, found),
        figures.PANEL_DPI,
        f"Proper motions of the stars of {candidate.name} in the frame of the patch, with the "
        f"signal region in {seed.scan} from {edges}.",
        f"Proper motions in the patch. Shaded: the best signal region, {seed.scan} from {edges}; "
        f"control region: the rest; rectangles: the regions of interest. {_on_errors(line)}",
    )


def _motions(name: str, stars: Layers, members: Table) -> Picture:
    line = _line_stars(members)
    errors, found = pm_covariance(line), None
    if errors is not None:
        found = ellipses(np.asarray(line["pmra"]), np.asarray(line["pmdec"]), errors)
    return picture(
        figures.proper_motions(stars, found),
        figures.PANEL_DPI,
        f"Proper motions of the stars of {name}; {_spread(stars.line)}.",
        f"Proper motions, ICRS, framed on the candidate: {_spread(stars.line)}. {_on_errors(line)}",
    )


def _line_stars(members: Table) -> Table:
    return members[np.asarray(members["on_line"], dtype=np.bool_)]


def _on_errors(line: Table) -> str:
    errors = pm_covariance(line)
    if errors is None or not np.isfinite(errors).all(axis=(1, 2)).any():
        return "No error ellipses: the stars came without errors."
    if not has_correlation(line):
        return "Ellipses: 1 σ errors of the line stars, along ra and dec (no correlations known)."
    return "Ellipses: 1 σ errors of the line stars."


def _judges(candidate: Candidate, stars: Layers) -> list[Picture]:
    name, view = candidate.name, candidate.view
    n_region = len(view.ratios.log_ratio)
    return [
        _colour_magnitude(candidate, stars),
        picture(
            line_figures.ratios(view),
            figures.PANEL_DPI,
            f"Distribution of the score of {n_region} stars of the best signal region of {name}.",
            f"ln R of the {n_region} fiducial stars of the best signal region, R being the ratio "
            "of the density there to the one expected from the control region.",
        ),
        picture(
            line_figures.profiles(view),
            figures.PANEL_DPI,
            f"Number of stars of {name} across its line and along it, less the background.",
            "Profiles of the listed stars, on minus off (Poisson errors). A stream is narrow "
            "across (shaded: the width of the line) and long along; a clump is short.",
        ),
    ]


def _colour_magnitude(candidate: Candidate, stars: Layers) -> Picture:
    labels, absent, plane = _photometry(candidate)
    # The ridge line is of Gaia's bands.
    ridge = candidate.ridge if candidate.photometry == GAIA_PHOTOMETRY else None
    fitted = ""
    if ridge is not None:
        fitted = (
            f" Line: the ridge of stars of [Fe/H] {ridge.feh:g} and {ridge.age_gyr:g} Gyr at "
            f"{ridge.distance_kpc:.1f} kpc, where it fits the line stars best."
        ).replace("-", "−")
    return picture(
        figures.colour_magnitude(stars, *labels, absent, ridge),
        figures.PANEL_DPI,
        f"Colour–magnitude diagram of the stars of {candidate.name}, {plane}, bright stars on top.",
        f"Colour and magnitude: {plane}; {_without_photometry(stars)}.{fitted}",
    )


def _without_photometry(stars: Layers) -> str:
    members = [np.hstack(layer) for layer in zip(stars.beside, stars.line, strict=True)]
    colour, mag = members[-2:]
    n_lacking = int(np.sum(~np.isfinite(colour + mag)))
    return f"{n_lacking} of {len(mag)} stars lack it" if n_lacking else "every star has both"


def _spread(line: Stars) -> str:
    """Median and 16–84 % half-width of the proper motions, in words."""
    low, middle, high = np.percentile([line.pmra, line.pmdec], [16, 50, 84], axis=1)
    half = (high - low) / 2
    pmra, pmdec = (f"{value:.2f}".replace("-", "−") for value in middle)
    return (
        f"line stars at {pmra} ± {half[0]:.2f} in ra (times cos dec) and {pmdec} ± {half[1]:.2f} "
        "mas/yr in dec (median, half of 16–84 %)"
    )
