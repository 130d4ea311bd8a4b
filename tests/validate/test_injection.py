from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from scipy.stats import kstest

from tests.validate.conftest import PATCH
from viamachinae.catalog.known import known_of
from viamachinae.config import MaskConfig
from viamachinae.errors import BadInputError
from viamachinae.simulate.pixels import INJECTED_ID
from viamachinae.validate.footprint import Footprint, footprint_of
from viamachinae.validate.injection import draw_streams_at_random, inject, surface
from viamachinae.validate.truth import true_streams

NONE = np.empty(0, dtype=np.int64)


def injected(footprint: Footprint, options, seed: int = 1, release: str = "gaia_dr3", held=NONE):
    rng = np.random.default_rng(seed)
    streams = draw_streams_at_random(options, ["a", "b"], footprint, rng)
    return inject(streams, footprint, held, 20.5, release, rng)


def test_counts_are_exact_and_the_seed_decides(footprint, options) -> None:
    first, again = injected(footprint, options), injected(footprint, options)
    assert list(first.truth["stream"]).count("a") == list(first.truth["stream"]).count("b") == 300
    assert first.columns["phot_g_mean_mag"].max() <= 20.5
    for name, column in first.columns.items():
        np.testing.assert_array_equal(column, again.columns[name])
    assert not np.array_equal(first.columns["ra"], injected(footprint, options, 2).columns["ra"])


def test_all_stars_lie_in_the_footprint(footprint, options, even) -> None:
    columns = injected(footprint, options).columns
    assert PATCH.separation_deg(columns["ra"], columns["dec"]).max() <= PATCH.radius_deg
    # A catalogue of the northern half: nothing is injected farther south than a pixel.
    north = even[even["dec"] > 30]
    half = footprint_of(np.asarray(north["ra"]), np.asarray(north["dec"]), [PATCH], [])
    edge = np.degrees(np.sqrt(np.pi / 3)) / 2**half.level
    assert injected(half, options).columns["dec"].min() > 30 - 1.5 * edge


def test_ids_cannot_be_gaias_nor_those_of_an_earlier_injection(footprint, options) -> None:
    first = injected(footprint, options).columns["source_id"]
    # Gaia's ids hold the level-12 pixel from bit 35 on: none reaches 12 * 4^12 * 2^35.
    assert first.dtype == np.int64
    assert first.min() == INJECTED_ID == 12 * 4**12 * 2**35
    second = injected(footprint, options, held=first).columns["source_id"]
    assert not set(first) & set(second)


def test_nothing_is_injected_into_masks(options, even) -> None:
    cluster = next(one for one in known_of("cluster") if one.name == "NGC 5024 (M 53)")
    ra, dec = float(cluster.nodes.ra[0]), float(cluster.nodes.dec[0])
    patch = type(PATCH)("m", ra, dec, 4.0, 3.0)
    turn = SkyCoord(even["ra"] * u.deg, even["dec"] * u.deg).transform_to(
        PATCH.centre.skyoffset_frame()
    )
    moved = SkyCoord(turn.lon, turn.lat, frame=patch.centre.skyoffset_frame()).icrs
    mask = MaskConfig(
        objects="cluster", names=["NGC 5024 (M 53)"], min_radius_deg=1.0, max_radius_deg=1.0
    )
    masked = footprint_of(moved.ra.deg, moved.dec.deg, [patch], [mask])
    drawn = injected(masked, options)
    assert patch.separation_deg(drawn.columns["ra"], drawn.columns["dec"]).min() >= 1.0
    assert len(drawn.truth) == 600
    wide = mask.model_copy(update={"min_radius_deg": 5.0, "max_radius_deg": 5.0})
    nowhere = footprint_of(moved.ra.deg, moved.dec.deg, [patch], [wide])
    with pytest.raises(BadInputError, match=r"preprocess\.masks: leave no place"):
        nowhere.draw_place(np.random.default_rng(0), 1.0, 1.0)


def test_places_are_uniform_on_the_sky(footprint, options) -> None:
    rng = np.random.default_rng(8)
    drawn = draw_streams_at_random(options, [f"s{i}" for i in range(400)], footprint, rng)
    tracks = [one.track for one in drawn]
    place = SkyCoord([t.ra for t in tracks] * u.deg, [t.dec for t in tracks] * u.deg)
    depth = 1 - np.cos(PATCH.centre.separation(place).rad)
    assert kstest(depth / (1 - np.cos(np.radians(6.0))), "uniform").pvalue > 0.01
    turns = {
        "around": PATCH.centre.position_angle(place).deg,
        "track": np.array([t.position_angle_deg for t in tracks]),
        "motion": np.degrees(np.arctan2([t.pmra for t in tracks], [t.pmdec for t in tracks])) % 360,
    }
    for name, angle in turns.items():
        assert kstest(angle / 360, "uniform").pvalue > 0.01, name


@pytest.mark.parametrize(("release", "grown"), [("gaia_dr3", 1.0), ("gaia_dr2", 1.24 * 1.58)])
def test_errors_scatter_as_published(footprint, options, release: str, grown: float) -> None:
    """Against two publications, of which the second gives rounded values.

    ESA's Gaia science performance: sqrt(40 + 800 z + 30 z^2) µas in parallax, 1.03 times that in
    pmra. Gaia Collaboration (Brown et al.) 2021, table 4: 0.07 mas/yr in proper motion and 1 mmag
    in G at G = 17, 0.5 mas/yr and 6 mmag at G = 20.
    """
    many = options.model_copy(update={"n_stars": [20_000], "distance_kpc": [6.0]})
    drawn = injected(footprint, many, release=release)
    pm_error = drawn.columns["pmra"] - np.asarray(drawn.truth["pmra"])
    g = np.asarray(drawn.truth["phot_g_mean_mag"])
    g_error = drawn.columns["phot_g_mean_mag"] - g
    for mag, published_pm, published_g in ((17.0, 0.07, 1e-3), (20.0, 0.5, 6e-3)):
        near, z = np.abs(g - mag) < 0.25, 10 ** (0.4 * (g - 15))
        model = 1.03e-3 * grown * np.sqrt(40 + 800 * z + 30 * z**2)
        assert half_width(pm_error[near] / model[near]) == pytest.approx(1, abs=0.12)
        assert half_width(pm_error[near]) == pytest.approx(published_pm * grown, rel=0.3)
        assert half_width(g_error[near]) == pytest.approx(published_g, rel=0.2)


def half_width(values: np.ndarray) -> float:
    return float(np.subtract(*np.percentile(values, [84.1, 15.9])) / 2)


def test_a_release_without_published_errors_is_refused(footprint, options) -> None:
    with pytest.raises(BadInputError, match="gaia_dr4"):
        injected(footprint, options, release="gaia_dr4")


def test_density_is_that_of_the_strip_within_one_width(footprint, options) -> None:
    drawn = injected(footprint, options.model_copy(update={"n_stars": [5000], "length_deg": [8.0]}))
    true = true_streams(drawn)[0]
    mine = np.asarray(drawn.truth["stream"]) == "a"
    _, across = true.place(drawn.columns["ra"][mine], drawn.columns["dec"][mine])
    per_deg2 = np.count_nonzero(np.abs(across) < 0.2) / (0.4 * true.length_deg)
    assert true.stars_per_deg2 == pytest.approx(per_deg2, rel=0.03)
    one = surface(drawn.streams[0], np.full(100, 20.0), 1.0)
    area = 0.4 * 8 * 3600**2
    assert one.mag_per_arcsec2 == pytest.approx(20 - 2.5 * np.log10(68.27 / area), abs=1e-3)


def test_the_track_frame_gives_back_the_true_places(footprint, options) -> None:
    drawn = injected(footprint, options)
    true = true_streams(drawn)[1]
    stars = drawn.truth[np.asarray(drawn.truth["stream"]) == "b"]
    along, across = true.place(np.asarray(stars["ra"]), np.asarray(stars["dec"]))
    np.testing.assert_allclose(along, stars["phi1"], atol=1e-9)
    np.testing.assert_allclose(across, stars["phi2"], atol=1e-9)
    pmra, pmdec = true.motion(np.asarray(stars["ra"]), np.asarray(stars["dec"]))
    dispersion = 2.0 / (4.74047 * 10)
    for found, name in ((pmra, "pmra"), (pmdec, "pmdec")):
        assert np.std(np.asarray(stars[name]) - found) == pytest.approx(dispersion, rel=0.15)
