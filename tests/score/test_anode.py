"""ANODE, and what all scores share: files, regions, stars without a score, engines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.score.known import (
    CONFIG,
    FEATURES,
    N_SIGNAL,
    auc,
    background_log_prob,
    ideal_log_ratio,
    prepared,
)
from viamachinae.config import AnodeConfig, TrainConfig
from viamachinae.errors import BadInputError, UnprocessableError
from viamachinae.flows.splines import RationalQuadratic
from viamachinae.score.densities import architecture_of
from viamachinae.score.evaluation import choose_device
from viamachinae.score.method import score, train
from viamachinae.score.trained import load_flows, save_flows

ANODE = AnodeConfig()


@pytest.fixture(scope="module")
def learned(sky, region):
    stars = prepared(sky["x"], sky["pm"], sky["source_id"], patch="l0.0_b+0.0")
    return train(stars, [region], CONFIG, ANODE)


def test_the_learned_ratio_ranks_the_signal_nearly_as_well_as_the_true_one(sky, region, learned):
    """4.5 % of the region's stars are signal."""
    scores = score(learned[0], sky["x"], sky["pm"], sky["source_id"], "cpu")
    inside = region.contains(sky["pm"][:, 0])
    by_id = np.argsort(sky["source_id"][inside])
    x, pm = sky["x"][inside][by_id], sky["pm"][inside][by_id, 0]
    signal = sky["signal"][inside][by_id]
    ideal = auc(ideal_log_ratio(x, pm), signal)
    found = auc(np.asarray(scores["log_ratio"]), signal)
    assert ideal > 0.99
    assert found > ideal - 0.02
    best = np.argsort(scores["log_ratio"])[::-1][:N_SIGNAL]
    assert signal[best].mean() > 0.6


def test_the_control_density_is_the_background_in_natural_units(sky, region, learned):
    scores = score(learned[0], sky["x"], sky["pm"], sky["source_id"], "cpu")
    inside = region.contains(sky["pm"][:, 0])
    by_id = np.argsort(sky["source_id"][inside])
    background = ~sky["signal"][inside][by_id]
    truth = background_log_prob(sky["x"][inside][by_id], sky["pm"][inside][by_id, 0])
    difference = (truth - np.asarray(scores["log_cr"]))[background]
    # Its mean is the Kullback-Leibler divergence inside the region, where it is interpolated.
    assert -0.02 < difference.mean() < 0.1


def test_scores_hold_the_stars_of_the_region_sorted_by_source_id(sky, region, learned):
    scores = score(learned[0], sky["x"], sky["pm"], sky["source_id"], "cpu")
    inside = region.contains(sky["pm"][:, 0])
    assert scores.colnames == ["source_id", "region", "log_sr", "log_cr", "log_ratio"]
    assert scores["source_id"].dtype == np.int64
    np.testing.assert_array_equal(scores["source_id"], np.sort(sky["source_id"][inside]))
    assert (scores["region"] == region.lower).all()
    np.testing.assert_allclose(scores["log_ratio"], scores["log_sr"] - scores["log_cr"], atol=1e-5)


def test_history_holds_natural_units(sky, region, learned):
    """The control flow's held-out likelihood is near that of the true density."""
    history = learned[1]
    assert len(history) == 2 * CONFIG.epochs
    last = history[(history["density"] == "cr") & (history["epoch"] == CONFIG.epochs - 1)][0]
    outside = ~region.contains(sky["pm"][:, 0])
    truth = background_log_prob(sky["x"][outside], sky["pm"][outside, 0]).mean()
    assert last["held_out"] == pytest.approx(truth, abs=0.1)
    assert last["loss"] == pytest.approx(-truth, abs=0.1)
    assert last["outcome"] == "done"
    assert 0.88 < last["n_stars"] / outside.sum() < 0.92


def test_saved_flows_score_identically(tmp_path: Path, sky, learned):
    path = tmp_path / "flows.safetensors"
    save_flows(path, learned[0])
    again = load_flows(path, FEATURES)
    stars = sky["x"][:500], sky["pm"][:500], sky["source_id"][:500]
    before, after = score(learned[0], *stars, "cpu"), score(again, *stars, "cpu")
    for name in before.colnames:
        np.testing.assert_array_equal(before[name], after[name])
    assert again.regions == learned[0].regions
    with pytest.raises(BadInputError, match="trained on the features phi, lam, not on phi, pm"):
        load_flows(path, ["phi", "pm"])
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(BadInputError, match="not a complete safetensors file"):
        load_flows(path)


def test_a_flow_of_splines_is_trained_scored_and_saved(tmp_path: Path, sky, region):
    given = {"flow": {"family": "rqs", "blocks": 2, "hidden": [16], "bins": 6}}
    given |= {"epochs": 4, "average_last": 2, "learning_rate": 1e-2, "schedule": "cosine"}
    config = TrainConfig.model_validate({**given, "device": "cpu", "batch_size": 128})
    x, pm, ids = sky["x"][::2], sky["pm"][::2], sky["source_id"][::2]
    trained, history = train(prepared(x, pm), [region], config, ANODE)
    assert trained.architecture.spline == RationalQuadratic(bins=6, bound=5.0)
    held_out = history["held_out"][history["density"] == "cr"]
    truth = background_log_prob(sky["x"], sky["pm"][:, 0]).mean()
    assert held_out[-1] > held_out[0]
    assert held_out[-1] == pytest.approx(truth, abs=0.2)
    save_flows(tmp_path / "flows.safetensors", trained)
    again = load_flows(tmp_path / "flows.safetensors", FEATURES)
    before, after = score(trained, x, pm, ids, "cpu"), score(again, x, pm, ids, "cpu")
    np.testing.assert_array_equal(before["log_ratio"], after["log_ratio"])


def test_splines_without_freedom_are_bad_input():
    flow = TrainConfig.model_validate({"flow": {"family": "rqs", "bins": 1000}}).flow
    with pytest.raises(BadInputError, match=r"train\.flow: 1000 bins of at least 0\.001"):
        architecture_of(flow, 5)


def test_a_region_with_a_failed_flow_is_left_out_and_named(sky, region, learned):
    broken = replace(
        learned[0],
        weights=torch.full_like(learned[0].weights, torch.nan),
        failed=np.array([[False, True]]),
    )
    scores = score(broken, sky["x"], sky["pm"], sky["source_id"], "cpu")
    assert len(scores) == 0
    assert scores["source_id"].dtype == np.int64
    assert broken.failed_regions() == [region]


def test_a_star_that_no_flow_was_trained_for_ranks_last(learned):
    x, pm = np.array([[0.0, 0.0], [50.0, 0.0], [0.0, np.nan]]), np.full((3, 1), 1.0)
    scores = score(learned[0], x, pm, np.arange(3), "cpu")
    assert np.isfinite(scores["log_ratio"][0])
    for name in ("log_sr", "log_cr", "log_ratio"):
        assert (scores[name][1:] == -np.inf).all()


def test_a_proper_motion_beyond_those_of_training_is_bad_input(region, learned):
    wide = replace(learned[0], regions=[replace(region, upper=9.0)])
    stars = np.array([[0.0, 0.0], [0.0, np.nan]]), np.array([[1.0], [5.0]]), np.arange(2)
    # A star that has no density anyhow does no harm.
    assert np.isfinite(score(wide, *stars, "cpu")["log_ratio"]).tolist() == [True, False]
    stars[0][1, 1] = 0.0
    with pytest.raises(BadInputError, match="to score: condition 0 is 5 in the first of 1 rows"):
        score(wide, *stars, "cpu")


def test_a_flow_does_not_depend_on_the_other_regions(sky, region):
    x, pm = sky["x"][::10], sky["pm"][::10]
    quick = CONFIG.model_copy(update={"epochs": 2, "average_last": 1})
    other = replace(region, lower=-3.0, upper=-1.0)
    alone, _ = train(prepared(x, pm), [region], quick, ANODE)
    pair, _ = train(prepared(x, pm), [other, region], quick, ANODE)
    torch.testing.assert_close(pair.weights[1], alone.weights[0], rtol=1e-3, atol=1e-4)
    moved, _ = train(prepared(x, pm, patch="q"), [region], quick, ANODE)
    assert not torch.equal(moved.weights, alone.weights)


def test_data_that_cannot_be_learned_from_are_said_to_be(sky, region):
    x = sky["x"][:400].copy()
    x[:, 1] = 3.0
    with pytest.raises(UnprocessableError, match="patch p: feature lam is constant"):
        prepared(x, sky["pm"][:400])
    empty = replace(region, lower=90.0, upper=92.0)
    with pytest.raises(UnprocessableError, match="from 90 mas/yr has too few stars"):
        train(prepared(sky["x"], sky["pm"]), [empty], CONFIG, ANODE)


def test_the_engine_is_recorded_and_densities_agree_between_engines(tmp_path, sky, region):
    x, pm, source_id = sky["x"][::5], sky["pm"][::5], sky["source_id"][::5]
    quick = CONFIG.model_copy(update={"epochs": 2, "average_last": 1, "engine": "torch"})
    trained, _ = train(prepared(x, pm), [region], quick, ANODE)
    assert trained.engine == "torch"
    # Scored by the kernel, where it is built.
    compiled = replace(trained, engine="native")
    save_flows(tmp_path / "flows.safetensors", compiled)
    again = load_flows(tmp_path / "flows.safetensors")
    assert again.engine == "native"
    expected, found = (score(flows, x, pm, source_id, "cpu") for flows in (trained, again))
    np.testing.assert_allclose(found["log_ratio"], expected["log_ratio"], atol=1e-4)


def test_a_native_engine_that_was_not_built_is_bad_input(monkeypatch, sky, region):
    monkeypatch.setattr("viamachinae.flows.engines.library", lambda: None)
    config = CONFIG.model_copy(update={"engine": "native"})
    with pytest.raises(BadInputError, match=r"train\.engine is native, but it was not built"):
        train(prepared(sky["x"], sky["pm"]), [region], config, ANODE)


def test_cuda_where_there_is_none_is_bad_input(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadInputError, match="torch finds no CUDA device"):
        choose_device("cuda")
    assert choose_device("auto") == torch.device("cpu")
