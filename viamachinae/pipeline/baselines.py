"""Simple searches of the skies of a challenge, so that a grade means something."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from astropy.table import Table

from viamachinae.config import FilesQuery, ScanConfig
from viamachinae.link.hough import hough_plane
from viamachinae.options import read_config
from viamachinae.pipeline.candidate_lists import PLACED, Array, csv_text
from viamachinae.pipeline.challenge import open_challenge
from viamachinae.pipeline.injection import stars_of
from viamachinae.pipeline.sources import open_source
from viamachinae.preprocess.patch import preprocess
from viamachinae.sky import tile
from viamachinae.store.files import write_text
from viamachinae.validate.baselines import FoundLine, hough_finder, matched_filter
from viamachinae.validate.recovery import CandidateStars

Baseline = Literal["matched-filter", "hough"]


def baseline(folder: Path, method: Baseline, out: Path) -> int:
    """Let a baseline search all skies of a challenge, and write its list as CSV.

    Returns
    -------
    int
        Number of candidates listed.

    Raises
    ------
    BadInputError
        If the challenge cannot be read.
    """
    challenge = open_challenge(folder)
    found = []
    for sky in challenge.skies:
        config = read_config(folder / f"{sky}.yaml")
        query = FilesQuery(source="files", path=challenge.stars(sky))
        found += _search(config.model_copy(update={"query": query}), sky, method)
    write_text(out, csv_text(found))
    return len(found)


def _search(config: ScanConfig, sky: str, method: Baseline) -> list[CandidateStars]:
    (patch,) = tile(config.sky)
    source_stars = stars_of(config, open_source(config), [patch])
    stars = preprocess(source_stars, patch, config.preprocess, config.query.release).stars
    stars = stars[np.hypot(stars["phi"], stars["lam"]) < patch.evaluation_radius_deg]
    options, radius = config.validation.baselines, patch.evaluation_radius_deg
    if method == "matched-filter":
        x, y, g_mag, bp_rp = _arrays(stars, ("phi", "lam", "phot_g_mean_mag", "bp_rp"))
        filtering, ridge = options.matched_filter, config.link.ridge
        lines = matched_filter(x, y, g_mag, bp_rp, radius, filtering, ridge)
    else:
        stars = stars[np.asarray(stars["fiducial"], dtype=np.bool_)]
        x, y, pm_phi, pm_lam = _arrays(stars, ("phi", "lam", "pm_phi", "pm_lam"))
        plane = hough_plane(config.link.lines, radius)
        lines = hough_finder(x, y, pm_phi, pm_lam, plane, options.hough)
    return [_candidate(f"{sky}-{i + 1}", stars, line) for i, line in enumerate(lines)]


def _arrays(stars: Table, names: Sequence[str]) -> list[Array]:
    return [np.asarray(stars[name], dtype=np.float64) for name in names]


def _candidate(name: str, stars: Table, line: FoundLine) -> CandidateStars:
    rows = line.rows
    places = (column[rows] for column in _arrays(stars, PLACED))
    return CandidateStars(name, line.sigma, np.asarray(stars["source_id"])[rows], *places)
