"""Every method finds a known clump on a known background, close to the ideal ratio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.score.known import CONFIG, N_SIGNAL, auc, draw_sky, ideal_log_ratio, prepared, region_in
from viamachinae.config import AnodeConfig, CathodeConfig, CwolaConfig, RAnodeConfig, ScoreConfig
from viamachinae.score.method import score, train
from viamachinae.score.trained import load_flows, save_flows

SMALL = {"hidden": [32, 32], "epochs": 12, "average_best": 4, "folds": 3, "learning_rate": 3e-3}
METHODS: dict[str, ScoreConfig] = {
    "cathode": CathodeConfig(method="cathode", oversampling=2, classifier=SMALL),
    "r_anode": RAnodeConfig(
        method="r_anode",
        flow={"hidden": [16], "blocks": 2},
        epochs=15,
        average_best=4,
        learning_rate=1e-2,
        batch_size=128,
    ),
    "cwola": CwolaConfig(method="cwola", sideband_masyr=1.0, classifier=SMALL),
}
HALF = slice(None, None, 2)


def trained_on(sky: dict[str, Any], method: ScoreConfig, rows: slice = slice(None)):
    stars = prepared(sky["x"][rows], sky["pm"][rows], sky["source_id"][rows])
    return train(stars, [region_in(sky["pm"][rows])], CONFIG, method)


def ranking(
    sky: dict[str, Any], trained, slope: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of the region's stars, which are signal, and the best possible ranking."""
    scores = score(trained, sky["x"], sky["pm"], sky["source_id"], "cpu")
    row = np.argsort(sky["source_id"])[
        np.searchsorted(np.sort(sky["source_id"]), scores["source_id"])
    ]
    ideal = ideal_log_ratio(sky["x"][row], sky["pm"][row, 0], slope)
    return np.asarray(scores["log_ratio"]), sky["signal"][row], ideal


@pytest.fixture(scope="module", params=METHODS)
def learned(request, sky):
    return request.param, *trained_on(sky, METHODS[request.param])


def test_the_learned_score_ranks_the_signal_nearly_as_well_as_the_true_ratio(sky, learned):
    method, trained, _ = learned
    found, signal, ideal = ranking(sky, trained)
    assert auc(found, signal) > auc(ideal, signal) - 0.03
    assert signal[np.argsort(found)[::-1][:N_SIGNAL]].mean() > 0.55
    assert trained.method == method


def test_scores_hold_the_columns_and_nan_where_a_method_has_no_density(sky, learned):
    method, trained, _ = learned
    scores = score(trained, sky["x"], sky["pm"], sky["source_id"], "cpu")
    assert scores.colnames == ["source_id", "region", "log_sr", "log_cr", "log_ratio"]
    assert np.isfinite(scores["log_ratio"]).all()
    known = {name: bool(np.isfinite(scores[name]).all()) for name in ("log_sr", "log_cr")}
    missing = {name: bool(np.isnan(scores[name]).all()) for name in ("log_sr", "log_cr")}
    expected = {"cathode": (False, True), "r_anode": (True, True), "cwola": (False, False)}
    assert tuple(known.values()) == expected[method]
    assert all(known[name] != missing[name] for name in known)


def test_what_was_trained_is_saved_whole(tmp_path: Path, sky, learned):
    _, trained, _ = learned
    save_flows(tmp_path / "flows.safetensors", trained)
    again = load_flows(tmp_path / "flows.safetensors")
    stars = sky["x"][::20], sky["pm"][::20], sky["source_id"][::20]
    before, after = score(trained, *stars, "cpu"), score(again, *stars, "cpu")
    for name in before.colnames:
        np.testing.assert_array_equal(before[name], after[name])
    save_flows(tmp_path / "again.safetensors", again)
    first, second = (tmp_path / f"{name}.safetensors" for name in ("flows", "again"))
    assert first.read_bytes() == second.read_bytes()


def test_the_history_tells_of_every_model(learned):
    method, trained, history = learned
    folds = {f"fold {number}" for number in range(3)}
    expected = {"cathode": {"cr"} | folds, "r_anode": {"cr", "signal"}, "cwola": folds}
    assert set(history["density"]) == expected[method]
    assert np.isfinite(history["loss"]).all()
    assert set(history["region"]) == {trained.regions[0].lower}


def test_r_anode_learns_the_share_of_the_signal(sky):
    trained, history = trained_on(sky, METHODS["r_anode"])
    region = trained.regions[0]
    truth = N_SIGNAL / region.contains(sky["pm"][:, 0]).sum()
    assert truth == pytest.approx(0.046, abs=0.01)
    assert trained.learned.signal_share(0) == pytest.approx(truth, abs=0.03)
    # The mixture describes the region's stars better than the background alone.
    course = history[history["density"] == "signal"]
    assert course["held_out"][-1] > course["held_out"][0]


def test_the_order_of_the_stars_given_is_no_matter(sky):
    shuffled = np.random.default_rng(3).permutation(len(sky["x"][HALF]))
    mixed = {name: values[HALF][shuffled] for name, values in sky.items()}
    quick = {"epochs": 2, "average_best": 1, "folds": 3, "hidden": [8]}
    method = CwolaConfig(method="cwola", sideband_masyr=1.0, classifier=quick)
    one, _ = trained_on(sky, method, HALF)
    other, _ = trained_on(mixed, method)
    np.testing.assert_array_equal(one.learned.weights, other.learned.weights)


def test_a_background_that_moves_with_the_condition_misleads_cwola_and_not_anode():
    sky = draw_sky(slope=5)
    found, signal, _ = ranking(sky, trained_on(sky, METHODS["cwola"])[0])
    cwola = auc(found, signal)
    found, signal, ideal = ranking(sky, trained_on(sky, AnodeConfig())[0], slope=5)
    assert auc(ideal, signal) > 0.98
    assert auc(found, signal) > auc(ideal, signal) - 0.02
    assert cwola < 0.6


def test_a_region_without_a_sideband_fails_alone(sky):
    inside = region_in(sky["pm"]).contains(sky["pm"][:, 0])
    away = np.abs(sky["pm"][:, 0] - 1) > 2
    some = {name: values[inside | away] for name, values in sky.items()}
    trained, history = trained_on(some, METHODS["cwola"])
    assert trained.failed_regions() == trained.regions
    assert len(history) == 0
    assert len(score(trained, sky["x"], sky["pm"], sky["source_id"], "cpu")) == 0
