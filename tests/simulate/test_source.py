import healpy
import numpy as np
import pytest
from astropy.table import Table

from viamachinae.config import GalaxyConfig, GreatCircleTrack, SimulateQuery, StreamConfig
from viamachinae.errors import BadInputError
from viamachinae.query.source import Source
from viamachinae.simulate.source import UNITS, SimulatedSky

TRACK = GreatCircleTrack(
    kind="great_circle", ra=150.0, dec=30.0, position_angle_deg=35.0, pmra=-4.0, pmdec=-9.0,
    distance_kpc=8.0,
)  # fmt: skip
STREAM = StreamConfig(name="s", track=TRACK, n_stars=300, length_deg=12, width_deg=0.2)
CONFIG = SimulateQuery(galaxy=GalaxyConfig(fraction=0.2), streams=[STREAM])
ALL = list(UNITS)


@pytest.fixture(scope="module")
def sky() -> SimulatedSky:
    return SimulatedSky(CONFIG, seed=5)


@pytest.fixture(scope="module")
def disc(sky: SimulatedSky) -> Table:
    return sky.stars(150.0, 30.0, 4.0, ALL)


def test_is_a_source(sky: SimulatedSky) -> None:
    source: Source = sky
    assert source.columns() == set(ALL)
    assert source.name


def test_table_is_as_the_interface_says(disc: Table) -> None:
    assert disc.colnames == ALL
    assert disc["source_id"].dtype == np.int64
    assert (np.diff(disc["source_id"]) > 0).all()
    for name, unit in UNITS.items():
        assert disc[name].unit == unit
        if name != "source_id":
            assert disc[name].dtype == np.float64
            assert np.isfinite(disc[name]).all()


def test_ids_hold_the_level_12_pixel_of_the_star(disc: Table) -> None:
    pixel = healpy.ang2pix(4096, disc["ra"], disc["dec"], nest=True, lonlat=True)
    np.testing.assert_array_equal(disc["source_id"] // 34359738368, pixel)


def test_overlapping_discs_share_their_stars(disc: Table) -> None:
    other = SimulatedSky(CONFIG, seed=5)
    shifted = other.stars(153.0, 32.0, 4.0, ALL[::-1])
    shared = np.intersect1d(disc["source_id"], shifted["source_id"])
    in_both = np.isin(disc["source_id"], shared)
    ra, dec = np.radians(disc["ra"]), np.radians(disc["dec"])
    toward = np.sin(dec) * np.sin(np.radians(32)) + np.cos(dec) * np.cos(np.radians(32)) * np.cos(
        ra - np.radians(153)
    )
    np.testing.assert_array_equal(in_both, toward >= np.cos(np.radians(4.0)))
    again = shifted[np.isin(shifted["source_id"], shared)]
    for name in ALL:
        np.testing.assert_array_equal(disc[name][in_both], again[name])
    assert 0 < in_both.sum() < len(disc)


def test_seeds_give_different_skies(disc: Table) -> None:
    other = SimulatedSky(CONFIG, seed=6).stars(150.0, 30.0, 4.0, ["pmra"])
    assert not np.isin(other["pmra"], disc["pmra"]).any()


def test_count_is_what_is_drawn(sky: SimulatedSky, disc: Table) -> None:
    expected = sky.count(150.0, 30.0, 4.0)
    assert len(disc) == pytest.approx(expected, abs=4 * np.sqrt(expected) + 0.005 * expected)


@pytest.mark.parametrize(("ra", "dec"), [(0.0, 10.0), (192.9, 27.1), (0.0, -90.0)])
def test_discs_anywhere_hold_what_is_expected(ra: float, dec: float) -> None:
    sky = SimulatedSky(SimulateQuery(), seed=1)
    stars = sky.stars(ra, dec, 1.5, ["ra", "dec"])
    expected = sky.count(ra, dec, 1.5)
    assert len(stars) == pytest.approx(expected, abs=4 * np.sqrt(expected) + 0.01 * expected)


def test_truth_holds_all_stream_stars_and_marks_those_of_a_disc(
    sky: SimulatedSky, disc: Table
) -> None:
    truth = sky.truth()
    assert len(truth) == 300
    near = SimulatedSky(CONFIG, seed=5).stars(150.0, 30.0, 8.0, ["source_id", "pmra", "pmra_error"])
    found = near[np.isin(near["source_id"], truth["source_id"])]
    assert len(found) == 300
    pull = (found["pmra"] - truth["pmra"]) / found["pmra_error"]
    assert pull.std() == pytest.approx(1, abs=0.2)
    galaxy = SimulatedSky(SimulateQuery(galaxy=CONFIG.galaxy), seed=5)
    smooth = galaxy.stars(150.0, 30.0, 4.0, ["source_id"])["source_id"]
    injected = np.setdiff1d(disc["source_id"], truth["source_id"])
    np.testing.assert_array_equal(np.sort(injected), smooth)


def test_fingerprint_follows_configuration_and_seed(sky: SimulatedSky) -> None:
    assert sky.fingerprint() == SimulatedSky(CONFIG, seed=5).fingerprint()
    assert sky.fingerprint() != SimulatedSky(CONFIG, seed=6).fingerprint()
    assert sky.fingerprint() != SimulatedSky(SimulateQuery(), seed=5).fingerprint()


def test_unknown_columns_are_named(sky: SimulatedSky) -> None:
    with pytest.raises(BadInputError, match="radial_velocity"):
        sky.stars(0, 0, 1, ["ra", "radial_velocity"])


def test_streams_need_names_of_their_own() -> None:
    with pytest.raises(BadInputError, match=r"query\.streams"):
        SimulatedSky(SimulateQuery(streams=[STREAM, STREAM]), seed=0)
