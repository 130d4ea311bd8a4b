"""The stage on hand-made stars whose fate is known, and on real ones."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Table

from viamachinae.config import FilesQuery, PreprocessConfig
from viamachinae.errors import BadInputError
from viamachinae.preprocess.patch import Preprocessed, needed_columns, preprocess
from viamachinae.query.files import FilesSource
from viamachinae.sky import Patch

NAN = np.nan
# At b = +60.4 deg, where abs(sin b) = 0.87.
PATCH = Patch("p", 163.0, 33.5, 15.0, 10.0)
PLAIN = PreprocessConfig()
NO_PHOTOMETRY = PreprocessConfig(features=["phi", "lam", "pm"])
GAIA = frozenset(
    {"source_id", "ra", "dec", "pmra", "pmdec", "parallax", "parallax_error"}
    | {"phot_g_mean_mag", "bp_rp", "ruwe"}
)

# A star that passes every rule; each row changes it so that one rule alone removes it.
GOOD = {
    "ra": 163.0,
    "dec": 33.5,
    "pmra": 1.0,
    "pmdec": -5.0,
    "parallax": 0.1,
    "parallax_error": 0.2,
    "phot_g_mean_mag": 18.0,
    "bp_rp": 0.7,
    "ruwe": 1.0,
}
FATES: list[tuple[dict[str, float], str]] = [
    ({}, "fiducial"),
    ({"ra": NAN}, "has_position"),
    ({"dec": 33.5 - 15.01}, "patch_radius"),
    ({"pmra": NAN}, "has_proper_motion"),
    ({"pmdec": NAN}, "has_proper_motion"),
    ({"bp_rp": NAN}, "has_colour"),
    ({"phot_g_mean_mag": NAN}, "has_mag"),
    ({"dec": 33.5 + 10.01}, "evaluation_radius"),
    ({"dec": 33.5 + 9.99}, "fiducial"),
    ({"phot_g_mean_mag": 20.2}, "max_mag"),
    ({"phot_g_mean_mag": 20.19}, "fiducial"),
    ({"bp_rp": 0.5}, "colour"),
    ({"bp_rp": 1.0}, "colour"),
    ({"pmra": 1.9, "pmdec": -1.9}, "min_pm"),
    ({"pmra": -2.1, "pmdec": 0.0}, "fiducial"),
    # 1 / (0.4 + 2 * 0.05) = 2 kpc and 2 kpc * 0.87 < 2 kpc: near the plane.
    ({"parallax": 0.4, "parallax_error": 0.05}, "min_height"),
    # 1 / (0.3 + 2 * 0.05) = 2.5 kpc and 2.5 kpc * 0.87 = 2.17 kpc: far enough.
    ({"parallax": 0.3, "parallax_error": 0.05}, "fiducial"),
    # As near, but the parallax is no good one: 0.1 / 0.4 > 0.2.
    ({"parallax": 0.4, "parallax_error": 0.1}, "fiducial"),
    ({"parallax": -3.0, "parallax_error": 0.05}, "fiducial"),
    ({"parallax": NAN, "parallax_error": NAN}, "fiducial"),
    ({"ruwe": 1.4}, "max_ruwe"),
    ({"ruwe": NAN}, "max_ruwe"),
]
DROPPING = ["has_position", "patch_radius", "has_proper_motion", "has_colour", "has_mag"]


def table(rows: list[dict[str, float]]) -> Table:
    full = [GOOD | row for row in rows]
    columns = {name: np.array([row[name] for row in full]) for name in GOOD}
    return Table({"source_id": 2**60 + np.arange(len(rows)), **columns})


def counts(result: Preprocessed) -> dict[str, tuple[int, int]]:
    return {row.rule: (row.n_before, row.n_after) for row in result.cutflow.rows}


# --- the rules ------------------------------------------------------------------------------


def test_every_star_meets_its_fate() -> None:
    result = preprocess(table([row for row, _ in FATES]), PATCH, PLAIN)
    ids = 2**60 + np.arange(len(FATES))
    stays = [fate not in DROPPING for _, fate in FATES]
    fiducial = [fate == "fiducial" for _, fate in FATES]
    np.testing.assert_array_equal(result.stars["source_id"], ids[stays])
    np.testing.assert_array_equal(result.stars["fiducial"], np.array(fiducial)[stays])


def test_the_cut_flow_counts_every_fate() -> None:
    result = preprocess(table([row for row, _ in FATES]), PATCH, PLAIN)
    fates = [fate for _, fate in FATES]
    left = len(fates)
    for row in result.cutflow.rows:
        removed = fates.count(row.rule)
        assert (row.n_before, row.n_after) == (left, left - removed), row.rule
        assert row.effect == ("drop" if row.rule in DROPPING else "mark")
        left -= removed
    assert left == fates.count("fiducial") == np.count_nonzero(result.stars["fiducial"])


def test_missing_values_are_counted() -> None:
    result = preprocess(table([row for row, _ in FATES]), PATCH, PLAIN)
    missing = {row.rule: row.n_missing for row in result.cutflow.rows if row.n_missing}
    assert missing == {
        "has_position": 1,
        "has_proper_motion": 2,
        "has_colour": 1,
        "has_mag": 1,
        "min_height": 1,
        "max_ruwe": 1,
    }
    json.dumps(result.cutflow.as_dict(), allow_nan=False)


def test_cuts_that_are_null_are_off() -> None:
    off = dict.fromkeys(
        ("max_mag", "min_colour", "max_colour", "min_abs_pm", "min_height_kpc", "max_ruwe")
    )
    config = PreprocessConfig(fiducial=off)  # type: ignore[arg-type]
    result = preprocess(table([{"bp_rp": 3.0, "ruwe": 9.0, "pmdec": 0.0}]), PATCH, config)
    assert [*counts(result)] == [*DROPPING, "evaluation_radius"]
    assert result.stars["fiducial"].tolist() == [True]


def test_a_colour_cut_may_have_one_side() -> None:
    config = PreprocessConfig(fiducial={"min_colour": None})  # type: ignore[arg-type]
    stars = table([{"bp_rp": -0.3}, {"bp_rp": 0.99}, {"bp_rp": 1.2}])
    assert preprocess(stars, PATCH, config).stars["fiducial"].tolist() == [True, True, False]


def test_a_missing_colour_that_is_no_feature_stays_but_is_not_fiducial() -> None:
    result = preprocess(table([{"bp_rp": NAN}, {}]), PATCH, NO_PHOTOMETRY)
    assert result.stars["fiducial"].tolist() == [False, True]
    assert counts(result)["colour"] == (2, 1)


# --- the table ------------------------------------------------------------------------------


def test_columns_units_and_types() -> None:
    stars = preprocess(table([{}]), PATCH, PLAIN).stars
    assert stars.colnames == [
        *("source_id", "ra", "dec", "pmra", "pmdec", "phot_g_mean_mag", "bp_rp"),
        *("phi", "lam", "pm_phi", "pm_lam", "colour", "mag", "fiducial"),
    ]
    assert stars["source_id"].dtype == np.int64
    assert stars["fiducial"].dtype == np.bool_
    assert all(stars[name].dtype == np.float64 for name in stars.colnames[1:-1])
    assert stars["pm_phi"].unit == u.mas / u.yr
    assert stars["lam"].unit == u.deg
    assert stars["mag"].unit == u.mag


def test_frame_columns_are_those_of_the_patch() -> None:
    rng = np.random.default_rng(0)
    rows = [{"ra": 163 + x, "dec": 33.5 + y, "pmra": y} for x, y in rng.uniform(-5, 5, (50, 2))]
    stars = preprocess(table(rows), PATCH, PLAIN).stars
    icrs = (np.asarray(stars[name]) for name in ("ra", "dec", "pmra", "pmdec"))
    for name, expected in PATCH.to_frame(*icrs)._asdict().items():
        np.testing.assert_array_equal(stars[name], expected)


def test_an_empty_disc_gives_an_empty_typed_table() -> None:
    full = preprocess(table([{}]), PATCH, PLAIN).stars
    empty = preprocess(table([{}])[:0], PATCH, PLAIN)
    assert len(empty.stars) == 0
    assert empty.stars.dtype == full.dtype
    assert set(counts(empty).values()) == {(0, 0)}


def test_the_input_is_left_alone() -> None:
    stars = table([row for row, _ in FATES])
    before = stars.copy()
    preprocess(stars, PATCH, PLAIN)
    assert stars.colnames == before.colnames
    for name in stars.colnames:
        np.testing.assert_array_equal(stars[name], before[name])


# --- catalogues that lack columns -----------------------------------------------------------


def test_without_photometry_it_runs_on_positions_and_proper_motions(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stars = table([{}, {"pmra": 0.0, "pmdec": 0.0}])
    stars.keep_columns(["source_id", "ra", "dec", "pmra", "pmdec"])
    with caplog.at_level(logging.WARNING, logger="viamachinae.preprocess"):
        result = preprocess(stars, PATCH, NO_PHOTOMETRY)
    assert result.stars["fiducial"].tolist() == [True, False]
    assert np.isnan(result.stars["phot_g_mean_mag"]).all()
    assert np.isnan(result.stars["bp_rp"]).all()
    assert not {"colour", "mag"} & set(result.stars.colnames)
    skipped = [row for row in result.cutflow.rows if not row.applied]
    assert [row.rule for row in skipped] == ["max_mag", "colour", "min_height", "max_ruwe"]
    assert [row.reason.split("'")[1] for row in skipped] == [
        *("phot_g_mean_mag", "bp_rp", "parallax", "ruwe")
    ]
    assert len(caplog.records) == 1
    assert "max_ruwe (the catalogue has no column 'ruwe')" in caplog.text


def test_other_photometry_becomes_colour_and_mag() -> None:
    stars = table([{}])
    stars.rename_columns(["bp_rp", "phot_g_mean_mag"], ["color", "g_mean_psf_mag"])
    config = PreprocessConfig(colour_column="color", mag_column="g_mean_psf_mag")
    result = preprocess(stars, PATCH, config).stars
    assert (result["colour"][0], result["mag"][0]) == (0.7, 18.0)
    assert np.isnan(result["bp_rp"][0])


@pytest.mark.parametrize(("column", "feature"), [("bp_rp", "colour"), ("phot_g_mean_mag", "mag")])
def test_a_feature_without_its_column_is_refused(column: str, feature: str) -> None:
    match = rf"s\.fits has no column '{column}'.*query\.columns.*{feature}.*preprocess\.features"
    with pytest.raises(BadInputError, match=match):
        needed_columns(PLAIN, GAIA - {column}, "s.fits")
    stars = table([{}])
    stars.remove_column(column)
    with pytest.raises(BadInputError, match=f"has no column '{column}'"):
        preprocess(stars, PATCH, PLAIN)


@pytest.mark.parametrize(
    ("config", "missing", "expected"),
    [
        (PLAIN, set(), GAIA),
        (PLAIN, {"ruwe", "parallax"}, GAIA - {"ruwe", "parallax"}),
        (NO_PHOTOMETRY, {"bp_rp"}, GAIA - {"bp_rp"}),
        (PreprocessConfig(colour_column="color"), set(), GAIA | {"color"}),
    ],
)
def test_needed_columns(config: PreprocessConfig, missing: Any, expected: Any) -> None:
    available = (GAIA | {"color", "radial_velocity"}) - missing
    asked = needed_columns(config, frozenset(available))
    assert len(asked) == len(set(asked))
    assert set(asked) == expected
    assert asked[0] == "source_id"


# --- real stars -----------------------------------------------------------------------------


def test_real_cone_loses_the_stars_that_gaia_has_no_solution_for(sky_data: Path) -> None:
    path = sky_data / "dr3_cone_ra45_dec0_r0.5.parquet"
    source = FilesSource(FilesQuery(source="files", path=path))
    stars = source.stars(45.0, 0.0, 0.5, needed_columns(PLAIN, source.columns(), source.name))
    result = preprocess(stars, Patch("cone", 45.0, 0.0, 0.5, 0.5), PLAIN)
    # Counted in the file with pyarrow: 375 stars without proper motion, 8 more without bp_rp.
    assert counts(result)["has_proper_motion"] == (2390, 2015)
    assert counts(result)["has_colour"] == (2015, 2007)
    assert all(row.applied for row in result.cutflow.rows)
    for name in ("phi", "lam", "pm_phi", "pm_lam", "colour", "mag"):
        assert np.isfinite(result.stars[name]).all()


def test_hybrid_patch_has_the_colour_counts_of_its_description(sky_data: Path) -> None:
    path = sky_data / "hybrid_gd1_r10.parquet"
    source = FilesSource(FilesQuery(source="files", path=path))
    asked = needed_columns(PLAIN, source.columns(), source.name)
    stars = source.stars(148.6, 24.2, 10.0, asked)
    result = preprocess(stars, Patch("gd1", 148.6, 24.2, 10.0, 10.0), PLAIN)
    assert counts(result)["colour"][1] == 181_969
