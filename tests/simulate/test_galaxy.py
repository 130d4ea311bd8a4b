from pathlib import Path

import astropy.units as u
import healpy
import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table

from viamachinae.config import GalaxyConfig, SimulateQuery
from viamachinae.simulate import pixels
from viamachinae.simulate.galaxy import draw_pixel, surface_density
from viamachinae.simulate.source import SimulatedSky

CONFIG = GalaxyConfig()


def expected(config: GalaxyConfig, pixel: int) -> float:
    """Stars of a pixel from the densities at the centres of its 256 parts."""
    parts = np.arange(256 * pixel, 256 * (pixel + 1))
    towards = np.stack(healpy.pix2vec(16 * pixels.NSIDE, parts, nest=True), axis=1)
    return float(surface_density(config, towards).mean() * pixels.AREA_SR)


def pixel_at(l_deg: float, b_deg: float) -> int:
    turned = healpy.Rotator(coord=["G", "C"])(l_deg, b_deg, lonlat=True)
    return int(healpy.ang2pix(pixels.NSIDE, *turned, nest=True, lonlat=True))


@pytest.mark.parametrize(("l_deg", "b_deg"), [(10, 30), (100, -35), (200, 50), (300, 70), (0, 90)])
def test_counts_scatter_about_the_expectation_as_poisson_says(l_deg: float, b_deg: float) -> None:
    pixel = pixel_at(l_deg, b_deg)
    counts = [len(draw_pixel(CONFIG, seed, pixel)["ra"]) for seed in range(30)]
    mean = expected(CONFIG, pixel)
    assert np.mean(counts) == pytest.approx(mean, abs=4 * np.sqrt(mean / 30) + 0.01 * mean)
    assert 0.5 < np.var(counts, ddof=1) / mean < 1.8


def test_fraction_thins_and_max_mag_cuts() -> None:
    pixel = pixel_at(150, 45)
    full = expected(CONFIG, pixel)
    thinned = GalaxyConfig(fraction=0.25)
    assert expected(thinned, pixel) == pytest.approx(full / 4)
    counts = [len(draw_pixel(thinned, seed, pixel)["ra"]) for seed in range(30)]
    assert np.mean(counts) == pytest.approx(full / 4, rel=0.06)
    bright = GalaxyConfig(max_mag=17)
    counts = []
    for seed in range(30):
        drawn = draw_pixel(bright, seed, pixel)
        assert drawn["phot_g_mean_mag"].max() <= 17
        counts.append(len(drawn["ra"]))
    mean = expected(bright, pixel)
    assert np.mean(counts) == pytest.approx(mean, abs=4 * np.sqrt(mean / 30))


def test_density_has_no_steps_at_the_borders_of_pixels() -> None:
    """Within a pixel at low latitude the counts rise towards the plane as the model says."""
    pixel = pixel_at(60, 20)
    parts = np.arange(4 * pixel, 4 * pixel + 4)
    towards = np.stack(healpy.pix2vec(2 * pixels.NSIDE, parts, nest=True), axis=1)
    wanted = surface_density(CONFIG, towards)
    counts = np.zeros(4)
    for seed in range(20):
        drawn = draw_pixel(CONFIG, seed, pixel)
        part = healpy.ang2pix(2 * pixels.NSIDE, drawn["ra"], drawn["dec"], nest=True, lonlat=True)
        counts += np.bincount(part - 4 * pixel, minlength=4)
    share = wanted / wanted.sum()
    assert share.max() / share.min() > 1.05
    np.testing.assert_allclose(counts / counts.sum(), share, atol=4 * 0.5 / np.sqrt(counts.sum()))


def test_a_pixel_depends_on_seed_and_pixel_alone() -> None:
    pixel = pixel_at(200, 60)
    first, again = draw_pixel(CONFIG, 3, pixel), draw_pixel(CONFIG, 3, pixel)
    other_seed, other_pixel = draw_pixel(CONFIG, 4, pixel), draw_pixel(CONFIG, 3, pixel + 1)
    for name, values in first.items():
        np.testing.assert_array_equal(values, again[name])
    assert not np.isin(first["pmra"], other_seed["pmra"]).any()
    assert not np.isin(first["pmra"], other_pixel["pmra"]).any()


def test_everything_is_finite() -> None:
    drawn = draw_pixel(GalaxyConfig(max_mag=21), 0, pixel_at(30, 25))
    assert all(np.isfinite(values).all() for values in drawn.values())


def test_counts_by_magnitude_match_the_real_cone(
    real_cone: dict[str, np.ndarray], wide_cone: Table
) -> None:
    edges = [10, 13, 15, 17, 18, 19, 20.5]
    real = np.histogram(real_cone["phot_g_mean_mag"], edges)[0]
    simulated = np.histogram(wide_cone["phot_g_mean_mag"], edges)[0] / 9
    # Poisson scatter of the real counts and 15 % of the model: no extinction, no binaries
    # resolved, no galaxies and quasars.
    assert (np.abs(simulated - real) < 3 * np.sqrt(real) + 0.15 * real).all()
    total = np.sum(real_cone["phot_g_mean_mag"] < 20.5)
    assert len(wide_cone) / 9 == pytest.approx(total, rel=0.1)


@pytest.mark.parametrize(
    ("column", "tolerance"),
    [("pmra", (1.2, 1.2, 1.2)), ("pmdec", (1.5, 0.8, 0.6)), ("parallax", (0.15, 0.1, 0.3)),
     ("bp_rp", (0.15, 0.15, 0.15))],
)  # fmt: skip
def test_percentiles_match_the_real_cone(
    real_cone: dict[str, np.ndarray], wide_cone: Table, column: str, tolerance: tuple[float, ...]
) -> None:
    bright = real_cone["phot_g_mean_mag"] < 20.5
    real = np.nanpercentile(real_cone[column][bright], [16, 50, 84])
    difference = np.percentile(wide_cone[column], [16, 50, 84]) - real
    assert (np.abs(difference) < tolerance).all(), difference


def test_strip_along_gd1_has_the_real_counts_and_motions(sky_data: Path) -> None:
    """Gaia DR2 with parallax < 1; the simulated errors are grown to those of DR2."""
    frame = pytest.importorskip("gala.coordinates").GD1Koposov10()
    real = pq.read_table(sky_data / "gd1_strip_dr2.parquet", columns=["pmra", "pmdec"])
    middle = SkyCoord(phi1=-50 * u.deg, phi2=0 * u.deg, frame=frame).icrs
    sky = SimulatedSky(SimulateQuery(), seed=1)
    names = ["ra", "dec", "parallax", "parallax_error", "pmra", "pmdec"]
    stars = sky.stars(middle.ra.deg, middle.dec.deg, 5.2, names)
    place = SkyCoord(stars["ra"], stars["dec"]).transform_to(frame)
    inside = np.abs(place.phi1.wrap_at(180 * u.deg).deg + 50) < 5
    stars = stars[inside & (np.abs(place.phi2.deg) < 1)]
    rng = np.random.default_rng(0)
    error = np.asarray(stars["parallax_error"])
    for name, dr2, dr3 in (("parallax", 1.24, 1.0), ("pmra", 1.96, 1.03), ("pmdec", 1.70, 0.89)):
        grown = np.sqrt(dr2**2 - dr3**2) * error * rng.standard_normal(len(stars))
        stars[name] = np.asarray(stars[name]) + grown
    stars = stars[stars["parallax"] < 1]
    # The real strip ends somewhere between G = 20.5 and 21, the simulated one at 20.5.
    assert len(stars) == pytest.approx(real.num_rows, rel=0.2)
    for name in ("pmra", "pmdec"):
        wanted = np.percentile(real[name].to_numpy(), [16, 50, 84])
        found = np.percentile(stars[name], [16, 50, 84])
        assert (np.abs(found - wanted) < [1.5, 0.7, 1.0]).all(), found - wanted


def test_the_brightest_limit_leaves_a_pixel_nearly_empty() -> None:
    drawn = draw_pixel(GalaxyConfig(max_mag=10, fraction=1e-6), 0, pixel_at(30, 60))
    assert all(len(values) == 0 for values in drawn.values())
    assert drawn["source_id"].dtype == np.int64
