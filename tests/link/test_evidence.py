"""The columns beside the significance, for the candidates of a sky of three patches."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest

from viamachinae.catalog.ridge_lines import ridge_at
from viamachinae.config import CandidateConfig, LinkConfig
from viamachinae.link.candidates import find_candidates
from viamachinae.link.evidence import EVIDENCE, dim_share, evidence
from viamachinae.link.streams import LinkedPatch

CONFIG = LinkConfig()


def test_candidates_get_all_columns_with_units(crossing) -> None:
    found = find_candidates(crossing(150.0, -30.0, CONFIG), CONFIG.candidates)
    table = evidence(found, CONFIG, seed=0)
    assert table.colnames == [*found.candidates.colnames, *EVIDENCE]
    assert table["match_separation_deg"].unit == u.deg
    assert table["match_pm_difference"].unit == u.mas / u.yr
    assert table["distance_kpc"].unit == u.kpc
    # The stars are between G = 15 and 19 and have no colours.
    assert np.all(table["f_dim"] == 0)
    assert np.all(table["bright"])
    assert np.all(np.isnan(table["distance_kpc"]) & np.isnan(table["cmd_score"]))
    # They lie along 20 deg, far from the rim.
    assert np.all(table["clump_share"] < 0.35)
    assert not np.any(table["clump"])
    assert not np.any(table["edge"][:1])
    assert evidence(found, CONFIG, seed=0).pformat() == table.pformat()


def test_the_ridge_is_fitted_to_photometry_free_of_extinction(crossing, rng) -> None:
    """Stars of a ridge line at 10 kpc, seen through a magnitude of dust that the scan took off."""
    line = ridge_at(CONFIG.ridge.feh, CONFIG.ridge.age_gyr, 10.0)
    linked = crossing(150.0, -30.0, CONFIG)
    for one in linked:
        stars = one.stars
        stars["mag"] = rng.uniform(17.5, 20.0, len(stars))
        stars["colour"] = np.interp(stars["mag"], line.g_mag, line.bp_rp)
        beside = np.asarray(stars["source_id"]) >= 2**60 + 1000
        stars["colour"][beside] = rng.uniform(0.5, 1.0, np.count_nonzero(beside))
        stars["phot_g_mean_mag"], stars["bp_rp"] = stars["mag"] + 1.0, stars["colour"] + 0.5
    found = find_candidates(linked, CONFIG.candidates)
    assert found.members["mag"].unit == u.mag
    table = evidence(found, CONFIG, seed=0)
    assert table["distance_kpc"][0] == pytest.approx(10.0, rel=0.05)
    assert table["f_dim"][0] == pytest.approx(0.36, abs=0.1)
    assert not table["bright"][0]
    # Where one patch lacks them, those observed are taken of all.
    del linked[2].stars["mag"], linked[2].stars["colour"]
    found = find_candidates(linked, CONFIG.candidates)
    assert "mag" not in found.members.colnames


def test_no_candidates_have_the_same_columns(crossing) -> None:
    full = evidence(find_candidates(crossing(150.0, -30.0, CONFIG), CONFIG.candidates), CONFIG, 0)
    empty = evidence(find_candidates([], CONFIG.candidates), CONFIG, 0)
    assert len(empty) == 0
    for name in full.colnames:
        assert empty[name].dtype.kind == full[name].dtype.kind
        assert empty[name].unit == full[name].unit


def test_members_of_known_objects_are_counted(crossing) -> None:
    found = find_candidates(crossing(150.0, -30.0, CONFIG), CONFIG.candidates)
    table = evidence(found, CONFIG, 0, {"nothing": np.arange(3)})
    assert np.all(np.isnan(table["match_n_shared"]))


@pytest.mark.parametrize(("r", "is_edge"), [(9.6, True), (-9.6, True), (9.4, False)])
def test_a_line_at_the_rim_is_flagged(crossing, r: float, is_edge: bool) -> None:
    first = crossing(150.0, 30.0, CONFIG)[0]
    r_column = first.protoclusters.column_names.index("r")
    moved = first.protoclusters.set_column(
        r_column, first.protoclusters.schema.field("r"), [[r] * len(first.protoclusters)]
    )
    linked = [LinkedPatch(first.patch, first.lines, moved, first.stars)]
    table = find_candidates(linked, CONFIG.candidates).candidates
    assert np.all(table["edge"] == is_edge)


@pytest.mark.parametrize(("g_mag", "is_bright"), [(18.0, True), (20.0, False), (np.nan, False)])
def test_candidates_without_dim_stars_are_flagged(crossing, g_mag: float, is_bright: bool) -> None:
    """Up to and with the share of the configuration; where no magnitude is known, none is."""
    linked = crossing(150.0, 30.0, CONFIG)
    for one in linked:
        one.stars["phot_g_mean_mag"] = g_mag
    found = find_candidates(linked, CONFIG.candidates)
    assert np.all(evidence(found, CONFIG, seed=0)["bright"] == is_bright)
    limit = {"candidates": CandidateConfig(min_dim_share=1.0)}
    assert np.all(evidence(found, CONFIG.model_copy(update=limit), 0)["bright"] == (g_mag > 0))


def test_dim_stars_are_counted_among_those_with_a_magnitude() -> None:
    assert dim_share(np.array([19.0, 19.1, 19.2, np.nan]), 19.1) == pytest.approx(1 / 3)
    assert np.isnan(dim_share(np.array([np.nan]), 19.1))
