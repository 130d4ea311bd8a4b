"""The rules that make a star usable, and those that make it fiducial (VM1 and VM2, section 2)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from viamachinae.config import FiducialCuts, PreprocessConfig
from viamachinae.preprocess.astrometry import is_good_parallax, least_height_kpc
from viamachinae.preprocess.cutflow import Rule
from viamachinae.preprocess.extinction import MAX_A0, R_V
from viamachinae.preprocess.photometry import photometric_columns, photometric_names

Array = NDArray[np.float64]


def usable_rules(
    columns: Mapping[str, Array], radius_deg: float, config: PreprocessConfig
) -> list[Rule]:
    """Rules that a star must fulfil to stay in the patch at all.

    Parameters
    ----------
    columns : mapping of str to float64 array of shape (n,)
        Gaia's columns of the stars, with ``colour`` and ``mag`` where the catalogue has them,
        ``ebv`` where these are dereddened, and their distance ``r`` from the patch centre in deg.
    radius_deg : float
        Radius of the patch.
    config : PreprocessConfig
        The features; a star needs a value for each.
    """
    r = columns["r"]
    rules = [
        _present("position", "ra and dec", columns["ra"], columns["dec"]),
        Rule("patch_radius", f"r <= {radius_deg:g} deg from the patch centre", r <= radius_deg),
        _present("proper_motion", "pmra and pmdec", columns["pmra"], columns["pmdec"]),
    ]
    if config.dereddens:
        rules.append(_ebv_rule(columns["ebv"]))
    for feature, column in photometric_columns(config).items():
        if feature in config.features:
            rules.append(_present(feature, column, columns[feature]))
    return rules


def _ebv_rule(ebv: Array) -> Rule:
    known = np.isfinite(ebv)
    text = f"E(B-V) known, and no more than the {MAX_A0 / R_V:.2f} mag that can be corrected for"
    return Rule("has_ebv", text, known & (np.abs(R_V * ebv) <= MAX_A0), missing=~known)


def _present(name: str, what: str, *values: Array) -> Rule:
    finite = np.logical_and.reduce([np.isfinite(value) for value in values])
    return Rule(f"has_{name}", f"{what} present", finite, missing=~finite)


def fiducial_rules(
    columns: Mapping[str, Array], radius_deg: float, config: PreprocessConfig
) -> list[Rule]:
    """Rules that a usable star must fulfil to be scored; cuts that are off are left out.

    Parameters
    ----------
    columns : mapping of str to float64 array of shape (n,)
        As for `usable_rules`, with ``pm_phi`` and ``pm_lam``.
    radius_deg : float
        Evaluation radius of the patch.
    config : PreprocessConfig
        The cuts, and the columns of colour and magnitude.
    """
    cuts = config.fiducial
    r = columns["r"]
    rules = [Rule("evaluation_radius", f"r < {radius_deg:g} deg", r < radius_deg)]
    rules += _photometric_rules(columns, config)
    if cuts.min_abs_pm is not None:
        fast = np.maximum(np.abs(columns["pm_phi"]), np.abs(columns["pm_lam"])) > cuts.min_abs_pm
        text = f"abs(pm_phi) or abs(pm_lam) > {cuts.min_abs_pm:g} mas/yr"
        rules.append(Rule("min_pm", text, fast))
    if cuts.min_height_kpc is not None:
        rules.append(_height_rule(columns, cuts, cuts.min_height_kpc))
    if cuts.max_ruwe is not None:
        rules.append(_range_rule("max_ruwe", "ruwe", columns.get("ruwe"), None, cuts.max_ruwe))
    return rules


def _photometric_rules(columns: Mapping[str, Array], config: PreprocessConfig) -> list[Rule]:
    cuts = config.fiducial
    names = photometric_names(config)
    rules = []
    if cuts.max_mag is not None:
        mag = columns.get("mag")
        rules.append(_range_rule("max_mag", names["mag"], mag, None, cuts.max_mag))
    if cuts.min_colour is not None or cuts.max_colour is not None:
        bounds = cuts.min_colour, cuts.max_colour
        rules.append(_range_rule("colour", names["colour"], columns.get("colour"), *bounds))
    return rules


def _range_rule(
    name: str, column: str, values: Array | None, low: float | None, high: float | None
) -> Rule:
    """Strictly between the bounds; a star without a value fails."""
    above = "" if low is None else f"{low:g} < "
    below = "" if high is None else f" < {high:g}"
    text = f"{above}{column}{below}; missing: not fiducial"
    if values is None:
        return _not_applied(name, text, column)
    inside = np.isfinite(values)
    missing = ~inside
    if low is not None:
        inside &= values > low
    if high is not None:
        inside &= values < high
    return Rule(name, text, inside, missing)


def _height_rule(columns: Mapping[str, Array], cuts: FiducialCuts, min_height_kpc: float) -> Rule:
    text = (
        f"no parallax with error / value < {cuts.max_parallax_fraction:g} that puts the star, at "
        f"+2 sigma, nearer to the plane than {min_height_kpc:g} kpc (the Sun's own height "
        "neglected); missing: kept"
    )
    for column in ("parallax", "parallax_error"):
        if column not in columns:
            return _not_applied("min_height", text, column)
    parallax, error = columns["parallax"], columns["parallax_error"]
    good = np.flatnonzero(is_good_parallax(parallax, error, cuts.max_parallax_fraction))
    height_kpc = least_height_kpc(
        columns["ra"][good], columns["dec"][good], parallax[good], error[good]
    )
    keep = np.ones(parallax.size, dtype=np.bool_)
    keep[good] = height_kpc >= min_height_kpc
    return Rule("min_height", text, keep, missing=np.isnan(parallax) | np.isnan(error))


def _not_applied(name: str, text: str, column: str) -> Rule:
    return Rule(name, text, None, reason=f"the catalogue has no column '{column}'")
