"""The stage: from the catalogue's stars in a disc to the stars of a patch."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from astropy.table import Column, Table
from numpy.typing import NDArray

from viamachinae.config import PreprocessConfig
from viamachinae.preprocess.astrometry import in_frame
from viamachinae.preprocess.cutflow import CutFlow, apply
from viamachinae.preprocess.cuts import fiducial_rules, usable_rules
from viamachinae.preprocess.masks import at_known
from viamachinae.preprocess.photometry import dereddening_columns, photometry, require_features
from viamachinae.sky import Patch

logger = logging.getLogger("viamachinae.preprocess")

_PM = u.mas / u.yr
_UNITS = {
    "source_id": None,
    "ra": u.deg,
    "dec": u.deg,
    "pmra": _PM,
    "pmdec": _PM,
    "phot_g_mean_mag": u.mag,
    "bp_rp": u.mag,
    "phi": u.deg,
    "lam": u.deg,
    "pm_phi": _PM,
    "pm_lam": _PM,
    "colour": u.mag,
    "mag": u.mag,
    "ebv": u.mag,
    "known": None,
    "fiducial": None,
}


class Preprocessed(NamedTuple):
    """The stars of a patch, and how many stars each rule removed."""

    stars: Table
    cutflow: CutFlow


def needed_columns(
    config: PreprocessConfig, available: frozenset[str], source: str = "the catalogue"
) -> list[str]:
    """Which columns to ask of a catalogue.

    Parameters
    ----------
    config : PreprocessConfig
        Features, photometric columns and cuts.
    available : frozenset of str
        What the catalogue has (`Source.columns`).
    source : str
        What messages call the catalogue.

    Raises
    ------
    BadInputError
        If the column of a feature, or of E(B-V), is not there.
    """
    require_features(config, available, source)
    wanted = [config.colour_column, config.mag_column, "phot_g_mean_mag", "bp_rp"]
    wanted += dereddening_columns(config)
    if config.fiducial.min_height_kpc is not None:
        wanted += ["parallax", "parallax_error"]
    if config.fiducial.max_ruwe is not None:
        wanted.append("ruwe")
    always = ["source_id", "ra", "dec", "pmra", "pmdec"]
    return list(dict.fromkeys(always + [name for name in wanted if name in available]))


def preprocess(
    stars: Table, patch: Patch, config: PreprocessConfig, release: str = "gaia_dr3"
) -> Preprocessed:
    """Bring stars into the frame of a patch, drop unusable ones and mark the fiducial ones.

    Parameters
    ----------
    stars : astropy.table.Table
        Columns of `needed_columns`, sorted by ``source_id``, NaN where there is no value.
    patch : Patch
        Frame and radii.
    config : PreprocessConfig
        Features, photometric columns, dust and cuts.
    release : str
        Gaia's release, for its law of extinction.

    Returns
    -------
    Preprocessed
        `stars`: one row a usable star in the order given: ``source_id`` (int64), ``ra``, ``dec``
        (deg), ``pmra``, ``pmdec`` (mas/yr), ``phot_g_mean_mag``, ``bp_rp`` (mag, NaN where the
        catalogue lacks them; as observed), ``phi``, ``lam`` (deg), ``pm_phi``, ``pm_lam``
        (mas/yr), ``colour``, ``mag`` (only where their columns are there; dereddened where the
        configuration says so, and then with ``ebv``, mag), all float64, ``known`` (name of the
        known object at the star or empty; only where a mask labels), and ``fiducial`` (bool);
        no rows where the disc is empty. `cutflow`: every rule in order.

    Raises
    ------
    BadInputError
        If the column of a feature is not there, a map of E(B-V) cannot be read, or a mask names
        an unknown object.
    """
    require_features(config, stars.colnames, f"the catalogue of patch {patch.id}")
    columns = _columns(stars, patch, config, release)
    usable, dropped = apply(usable_rules(columns, patch.radius_deg, config), len(stars), "drop")
    columns = {name: values[usable] for name, values in columns.items()}
    ids = np.asarray(stars["source_id"], dtype=np.int64)[usable]
    by_mode = {m: [one for one in config.masks if one.mode == m] for m in ("mask", "label")}
    kept, masked = apply(at_known(columns, patch, by_mode["mask"]).rules, len(ids), "drop")
    ids, columns = ids[kept], {name: values[kept] for name, values in columns.items()}
    known = at_known(columns, patch, by_mode["label"])
    _, labelled = apply(known.rules, len(ids), "label")
    columns |= in_frame(patch, columns)._asdict()
    rules = fiducial_rules(columns, patch.evaluation_radius_deg, config)
    fiducial, marked = apply(rules, columns["r"].size, "mark")
    cutflow = CutFlow((*dropped, *masked, *labelled, *marked))
    _warn_of_rules_not_applied(cutflow, patch)
    output: dict[str, NDArray[Any]] = {"source_id": ids, **columns, "fiducial": fiducial}
    if by_mode["label"]:
        output["known"] = known.name
    return Preprocessed(
        Table([Column(output[name], name, unit=_UNITS[name]) for name in _UNITS if name in output]),
        cutflow,
    )


def _columns(
    stars: Table, patch: Patch, config: PreprocessConfig, release: str
) -> dict[str, NDArray[np.float64]]:
    """All columns but the ids as float64, with ``r`` (deg), ``colour`` and ``mag``."""
    columns = {
        name: np.asarray(stars[name], dtype=np.float64)
        for name in stars.colnames
        if name != "source_id"
    }
    for name in ("phot_g_mean_mag", "bp_rp"):
        columns.setdefault(name, np.full(len(stars), np.nan))
    columns |= photometry(stars, config, release)
    columns["r"] = patch.separation_deg(columns["ra"], columns["dec"])
    return columns


def _warn_of_rules_not_applied(cutflow: CutFlow, patch: Patch) -> None:
    skipped = [f"{row.rule} ({row.reason})" for row in cutflow.rows if not row.applied]
    if skipped:
        logger.warning("patch %s: cuts not applied: %s", patch.id, ", ".join(skipped))
