import numpy as np
import pytest

from viamachinae.simulate.observation import Stars, magnitude_error, observe, parallax_error


@pytest.fixture(scope="module")
def observed() -> dict[str, np.ndarray]:
    n = 40_000
    ones = np.ones(n)
    stars = Stars(
        np.arange(n), 10 * ones, 20 * ones, 5 * ones, 3 * ones, -7 * ones, 19 * ones, ones
    )
    return observe(np.random.default_rng(3), stars)


@pytest.mark.parametrize(
    ("low", "high"), [(14, 15), (16, 17), (17, 18), (18, 19), (19, 20), (20, 20.5)]
)
def test_astrometric_errors_match_the_real_cone(real_cone, low: float, high: float) -> None:
    g = real_cone["phot_g_mean_mag"]
    here = (g > low) & (g < high)
    for column, ratio in (("parallax_error", 1.0), ("pmra_error", 1.03), ("pmdec_error", 0.89)):
        found = np.nanmedian(ratio * parallax_error(g[here]))
        assert found == pytest.approx(np.nanmedian(real_cone[column][here]), rel=0.2)


@pytest.mark.parametrize(
    ("band", "column"),
    [("G", "phot_g_mean"), ("BP", "phot_bp_mean"), ("RP", "phot_rp_mean")],
)
def test_photometric_errors_match_the_real_cone(real_cone, band: str, column: str) -> None:
    mag = real_cone[f"{column}_mag"]
    real = 1.0857 / real_cone[f"{column}_flux_over_error"]
    for low in np.arange(15, 21):
        here = (mag > low) & (mag < low + 1)
        ratio = np.nanmedian(real[here] / magnitude_error(mag[here], band))
        assert ratio == pytest.approx(1, abs=0.25)


def test_photometric_errors_are_near_the_published_means() -> None:
    # Gaia Collaboration (Brown et al.) 2021, table 4: mean errors at G = 17 and G = 20, for which
    # stars of BP - RP = 1 have BP = G + 0.42 and RP = G - 0.58. The published RP error is a mean
    # over stars redder than that: hence the wide tolerance.
    assert magnitude_error(17, "G") == pytest.approx(1e-3, rel=0.1)
    assert magnitude_error(20, "G") == pytest.approx(6e-3, rel=0.1)
    assert magnitude_error(17.42, "BP") == pytest.approx(12e-3, rel=0.25)
    assert magnitude_error(20.42, "BP") == pytest.approx(108e-3, rel=0.25)
    assert magnitude_error(16.42, "RP") == pytest.approx(6e-3, rel=0.25)
    assert 52e-3 < magnitude_error(19.42, "RP") < 2 * 52e-3


@pytest.mark.parametrize(
    ("column", "truth", "error"),
    [("parallax", 0.2, "parallax_error"), ("pmra", 3, "pmra_error"), ("pmdec", -7, "pmdec_error")],
)
def test_errors_are_those_that_the_catalogue_states(observed, column, truth, error) -> None:
    pull = (observed[column] - truth) / observed[error]
    assert pull.mean() == pytest.approx(0, abs=0.02)
    assert pull.std() == pytest.approx(1, abs=0.02)


def test_photometry_scatters_about_the_truth(observed) -> None:
    assert np.median(observed["phot_g_mean_mag"]) == pytest.approx(19, abs=1e-4)
    assert observed["phot_g_mean_mag"].std() == pytest.approx(magnitude_error(19, "G"), rel=0.05)
    expected = np.hypot(magnitude_error(19.4, "BP"), magnitude_error(18.4, "RP"))
    spread = np.subtract(*np.percentile(observed["bp_rp"], [84.1, 15.9])) / 2
    assert spread == pytest.approx(expected, rel=0.05)


def test_ruwe_is_distributed_as_in_the_real_cone(real_cone, observed) -> None:
    asked = [16, 50, 84, 95]
    real = np.nanpercentile(real_cone["ruwe"], asked)
    np.testing.assert_allclose(np.percentile(observed["ruwe"], asked), real, atol=0.05)


def test_everything_is_finite_at_extreme_magnitudes() -> None:
    n = 2000
    g = np.linspace(2, 23, n)
    ones = np.ones(n)
    stars = Stars(np.arange(n), ones, ones, ones, ones, ones, g, np.linspace(-1, 6, n))
    assert all(np.isfinite(c).all() for c in observe(np.random.default_rng(0), stars).values())
