import numpy as np
import pytest

from viamachinae.config import Gap, GreatCircleTrack, StreamConfig
from viamachinae.errors import BadInputError
from viamachinae.simulate import pixels
from viamachinae.simulate.streams import draw_streams

TRACK = GreatCircleTrack(
    kind="great_circle", ra=150.0, dec=30.0, position_angle_deg=35.0, pmra=-4.0, pmdec=-9.0,
    pm_gradient=(0.05, 0.0), distance_kpc=8.0,
)  # fmt: skip


def stream(**changes) -> StreamConfig:
    given = {"name": "s", "track": TRACK, "n_stars": 20_000, "length_deg": 30, "width_deg": 0.2}
    return StreamConfig(**{**given, **changes})


def test_number_length_and_width_are_those_asked() -> None:
    columns, truth = draw_streams([stream()], 20.5, 1)
    assert len(truth) == len(columns["ra"]) == 20_000
    assert columns["phot_g_mean_mag"].max() <= 20.5
    phi1, phi2 = truth["phi1"], truth["phi2"]
    assert phi1.min() < -14.9
    assert phi1.max() > 14.9
    assert np.abs(phi1).max() <= 15
    counts = np.histogram(phi1, np.linspace(-15, 15, 11))[0]
    assert np.abs(counts - 2000).max() < 4 * np.sqrt(2000)
    assert phi2.std() == pytest.approx(0.2, rel=0.02)
    assert phi2.mean() == pytest.approx(0, abs=0.006)


def test_motions_scatter_by_the_velocity_dispersion() -> None:
    _, truth = draw_streams([stream(velocity_dispersion_kms=5.0, width_deg=1e-6)], 20.5, 1)
    _, cold = draw_streams([stream(velocity_dispersion_kms=0.0, width_deg=1e-6)], 20.5, 1)
    for name in ("pmra", "pmdec"):
        here = np.abs(truth["phi1"]) < 0.5
        still = np.abs(cold["phi1"]) < 0.5
        expected = np.hypot(5 / (4.74047 * 8), cold[name][still].std())
        assert truth[name][here].std() == pytest.approx(expected, rel=0.1)
        middle = {"pmra": -4.0, "pmdec": -9.0}[name]
        assert cold[name][still].mean() == pytest.approx(middle, abs=0.02)


def test_gaps_are_missing_stars() -> None:
    gap = Gap(phi1_deg=5.0, sigma_deg=1.0, depth=0.8)
    _, truth = draw_streams([stream(gaps=[gap])], 20.5, 1)
    assert len(truth) == 20_000
    at = np.histogram(truth["phi1"], [4.8, 5.2])[0][0] / 0.4
    away = np.histogram(truth["phi1"], [-15, 0])[0][0] / 15
    assert at / away == pytest.approx(0.2, abs=0.05)


def test_a_farther_end_has_fewer_visible_stars() -> None:
    track = TRACK.model_copy(update={"distance_gradient": 0.4})
    _, truth = draw_streams([stream(track=track)], 20.5, 1)
    near, far = truth[truth["phi1"] < 0], truth[truth["phi1"] > 0]
    assert len(near) > 1.3 * len(far)
    np.testing.assert_allclose(truth["distance_kpc"], 8 + 0.4 * truth["phi1"])


def test_stars_lie_on_the_ridge_line_of_their_metallicity() -> None:
    colours = {}
    for feh in (-2.0, -0.5):
        _, truth = draw_streams([stream(feh=feh)], 20.5, 1)
        turnoff = np.abs(truth["phot_g_mean_mag"] - (4.0 + 14.515)) < 0.3
        colours[feh] = np.median(truth["bp_rp"][turnoff])
    assert colours[-2.0] == pytest.approx(0.6, abs=0.05)
    assert colours[-0.5] > colours[-2.0] + 0.1


def test_a_stream_depends_on_the_seed_and_its_own_name_alone() -> None:
    a, b = stream(name="a", n_stars=50), stream(name="b", n_stars=70)
    _, alone = draw_streams([a], 20.5, 1)
    _, both = draw_streams([b, a], 20.5, 1)
    np.testing.assert_array_equal(np.sort(both["ra"][both["stream"] == "a"]), np.sort(alone["ra"]))
    assert not np.isin(both["ra"][both["stream"] == "b"], alone["ra"]).any()
    _, reseeded = draw_streams([a], 20.5, 2)
    assert not np.isin(reseeded["ra"], alone["ra"]).any()


def test_ids_encode_the_pixel_and_are_unique() -> None:
    columns, truth = draw_streams([stream(name="a"), stream(name="b")], 20.5, 1)
    ids = columns["source_id"]
    assert ids.dtype == np.int64
    assert len(np.unique(ids)) == 40_000
    np.testing.assert_array_equal(ids // 2**35, pixels.id_pixels(columns["ra"], columns["dec"]))
    assert (ids & pixels.STREAM_BIT != 0).all()
    np.testing.assert_array_equal(truth["source_id"], np.sort(ids))


def test_no_streams_is_an_empty_table() -> None:
    columns, truth = draw_streams([], 20.5, 1)
    assert len(truth) == len(columns["ra"]) == 0
    assert truth["source_id"].dtype == np.int64


def test_a_stream_too_far_to_be_seen_is_refused() -> None:
    far = stream(track=TRACK.model_copy(update={"distance_kpc": 900.0}), n_stars=5)
    with pytest.raises(BadInputError, match="almost no star"):
        draw_streams([far], 18.0, 1)
