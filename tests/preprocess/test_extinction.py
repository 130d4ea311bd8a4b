"""The laws against their published polynomials, and photometry there and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import healpy
import numpy as np
import pytest
from astropy.table import Table

from viamachinae.config import PreprocessConfig
from viamachinae.errors import BadInputError
from viamachinae.options import parse_config
from viamachinae.preprocess.extinction import (
    COLOUR_RANGE,
    LAWS,
    MAX_A0,
    R_V,
    Band,
    Law,
    check_extinction,
    deredden,
    extinction_ratio,
    law_of,
)
from viamachinae.preprocess.patch import needed_columns, preprocess
from viamachinae.simulate.source import SimulatedSky
from viamachinae.sky import Patch

PATCH = Patch("p", 150.0, 30.0, 2.0, 2.0)
BANDS: tuple[Band, ...] = ("G", "BP", "RP")

# ESA's table in full: intercept, X, X2, X3, A, A2, A3, XA, AX2, XA2.
ESA = {
    "G": "0.995969721536602 -0.159726460302015 0.0122380738156057 0.00090726555099859 "
    "-0.0377160263914123 0.00151347495244888 -2.52364537395142e-05 0.0114522658102451 "
    "-0.000936914989014318 -0.000260296774134201",
    "BP": "1.15363197483424 -0.0814012991657388 -0.036013023976704 0.0192143585568966 "
    "-0.022397548243016 0.000840562680547171 -1.31018008013549e-05 0.00660124080271006 "
    "-0.000882247501989453 -0.000111215755291684",
    "RP": "0.66320787941067 -0.0179847164933981 0.000493769449961458 -0.00267994405695751 "
    "-0.00651422146709376 3.30179903473159e-05 1.57894227641527e-06 -7.9800898337247e-05 "
    "0.000255679812110045 1.10476584967393e-05",
}


@pytest.mark.parametrize("band", BANDS)
def test_the_law_of_dr3_is_esas(band: Band) -> None:
    one, x, x2, x3, a, a2, a3, xa, x2a, xa2 = map(float, ESA[band].split())
    table = np.array([[one, a, a2, a3], [x, xa, xa2, 0], [x2, x2a, 0, 0], [x3, 0, 0, 0]])
    colour, a0 = np.meshgrid(np.linspace(0.0, 2.4, 13), np.linspace(0.0, 5.0, 11))
    expected = np.polynomial.polynomial.polyval2d(colour, a0, table)
    found = extinction_ratio(LAWS["gaia_dr3"], band, colour, a0)
    np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize(
    ("band", "expected"),
    # By hand from table 1 of Babusiaux et al. 2018, at bp_rp0 = 1 and A0 = 1:
    # c1 + c2 + c3 + c4 + c5 + c6 + c7.
    [("G", 0.7828), ("BP", 1.0305), ("RP", 0.58195)],
)
def test_the_law_of_dr2_by_hand(band: Band, expected: float) -> None:
    assert extinction_ratio(LAWS["gaia_dr2"], band, 1.0, 1.0) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
@pytest.mark.parametrize(("band", "per_ebv"), [("G", 2.740), ("BP", 3.374), ("RP", 2.035)])
def test_the_laws_agree_with_mean_coefficients(law: Law, band: Band, per_ebv: float) -> None:
    """Casagrande & VandenBerg 2018 (MNRAS 479, L102), table 2: another extinction curve."""
    found = R_V * extinction_ratio(law, band, 0.7, 0.1)
    assert found == pytest.approx(per_ebv, rel=0.10)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_reddened_stars_come_back(law: Law) -> None:
    rng = np.random.default_rng(3)
    colour, mag = rng.uniform(-0.5, 3.5, 5000), rng.uniform(12, 20, 5000)
    ebv = rng.uniform(-0.02, MAX_A0 / R_V, 5000)
    a0 = R_V * ebv
    g, bp, rp = (a0 * extinction_ratio(law, band, colour, a0) for band in BANDS)
    found = deredden(law, colour + bp - rp, mag + g, ebv)
    np.testing.assert_allclose(found.colour, colour, atol=1e-7)
    np.testing.assert_allclose(found.mag, mag, atol=1e-7)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_each_step_nears_the_fixed_point(law: Law) -> None:
    colour, step = np.linspace(*COLOUR_RANGE, 300, retstep=True)
    a0 = np.linspace(0.0, MAX_A0, 50)[:, None]
    reddening = a0 * (
        extinction_ratio(law, "BP", colour, a0) - extinction_ratio(law, "RP", colour, a0)
    )
    assert np.abs(np.gradient(reddening, step, axis=1)).max() < 5 / 6


def test_without_dust_nothing_changes_and_too_much_is_nan() -> None:
    found = deredden(LAWS["gaia_dr3"], [0.7, 0.7, 0.7], [18.0, 18.0, 18.0], [0.0, 1.7, np.nan])
    np.testing.assert_array_equal(found.colour, [0.7, np.nan, np.nan])
    np.testing.assert_array_equal(found.mag, [18.0, np.nan, np.nan])


# --- in the stage ---------------------------------------------------------------------------


def config(**ebv: Any) -> PreprocessConfig:
    return PreprocessConfig.model_validate({"ebv": ebv})


def intrinsic_stars() -> Table:
    sky = SimulatedSky(parse_config({"query": {"galaxy": {"fraction": 0.05}}}, "t").query, 3)  # type: ignore[arg-type]
    return sky.stars(PATCH.ra, PATCH.dec, PATCH.radius_deg, sorted(sky.columns()))


def reddened(stars: Table, ebv: Any) -> Table:
    table, a0 = stars.copy(), R_V * np.asarray(ebv)
    colour = np.asarray(stars["bp_rp"])
    g, bp, rp = (a0 * extinction_ratio(LAWS["gaia_dr3"], band, colour, a0) for band in BANDS)
    table["phot_g_mean_mag"] = stars["phot_g_mean_mag"] + g
    table["bp_rp"] = colour + bp - rp
    return table


def test_simulated_stars_behind_a_map_come_back(tmp_path: Path) -> None:
    """And the fiducial cuts act on what has come back."""
    nside = 64
    lon, _ = healpy.pix2ang(nside, np.arange(healpy.nside2npix(nside)), lonlat=True)
    values = 0.3 + 0.2 * np.sin(np.radians(20 * lon))
    healpy.write_map(tmp_path / "map.fits", values, coord="C", dtype=np.float64)
    stars = intrinsic_stars()
    pixel = healpy.ang2pix(nside, stars["ra"], stars["dec"], lonlat=True)
    dusty = reddened(stars, values[pixel])
    with_map = config(source="healpix", path=tmp_path / "map.fits", lookup="nearest")
    found = preprocess(dusty, PATCH, with_map)
    clean = preprocess(stars, PATCH, PreprocessConfig()).stars
    assert len(found.stars) == len(stars) > 100
    np.testing.assert_allclose(found.stars["colour"], clean["colour"], atol=1e-5)
    np.testing.assert_allclose(found.stars["mag"], clean["mag"], atol=1e-5)
    np.testing.assert_array_equal(found.stars["bp_rp"], dusty["bp_rp"])
    np.testing.assert_array_equal(found.stars["phot_g_mean_mag"], dusty["phot_g_mean_mag"])
    np.testing.assert_allclose(found.stars["ebv"], values[pixel], atol=1e-7)
    assert str(found.stars["ebv"].unit) == "mag"
    np.testing.assert_array_equal(found.stars["fiducial"], clean["fiducial"])
    assert not np.array_equal(
        preprocess(dusty, PATCH, PreprocessConfig()).stars["fiducial"], clean["fiducial"]
    )
    named = {row.rule: row.description for row in found.cutflow.rows}
    assert "dereddened phot_g_mean_mag < 20.2" in named["max_mag"]


def test_stars_without_ebv_are_dropped_by_a_named_rule() -> None:
    stars = intrinsic_stars()[:4]
    stars["av"] = [0.1, np.nan, 4.0, 0.2]
    column = config(source="column", column_name="av", factor=0.5)
    asked = needed_columns(column, frozenset(stars.colnames))
    assert "av" in asked
    result = preprocess(stars, PATCH, column)
    np.testing.assert_allclose(result.stars["ebv"], [0.05, 0.1])
    row = next(row for row in result.cutflow.rows if row.rule == "has_ebv")
    assert (row.n_before, row.n_after, row.n_missing) == (4, 2, 1)


def test_columns_that_dereddening_needs(tmp_path: Path) -> None:
    have = frozenset({"source_id", "ra", "dec", "pmra", "pmdec", "phot_g_mean_mag", "bp_rp"})
    with pytest.raises(BadInputError, match=r"s\.fits has no column 'ebv', which preprocess\.ebv"):
        needed_columns(config(source="column"), have, "s.fits")
    plain = PreprocessConfig.model_validate(
        {"features": ["phi", "lam", "pm"], "ebv": {"source": "column"}}
    )
    with pytest.raises(BadInputError, match=r"no column 'bp_rp', which preprocess\.ebv needs"):
        needed_columns(plain, (have | {"ebv"}) - {"bp_rp"})
    with pytest.raises(BadInputError, match=r"no\.fits"):
        check_extinction(config(source="healpix", path=tmp_path / "no.fits"), "gaia_dr3")
    with pytest.raises(ValueError, match="ebv needs colour_column bp_rp"):
        PreprocessConfig.model_validate({"colour_column": "g_r", "ebv": {"source": "column"}})


def test_the_law_follows_the_release_unless_told() -> None:
    own = config(source="column")
    assert law_of(own, "gaia_dr2") is LAWS["gaia_dr2"]
    assert law_of(own.model_copy(update={"extinction_law": "gaia_dr3"}), "x") is LAWS["gaia_dr3"]
    with pytest.raises(BadInputError, match="none is known for gaia_dr9; choose gaia_dr2 or"):
        check_extinction(own, "gaia_dr9")
