"""Every library builds a density, of the shape asked for, learns, and samples from it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from viamachinae.bench import libraries, library
from viamachinae.bench.libraries import LIBRARIES, who_can
from viamachinae.bench.library import Recipe, missing
from viamachinae.bench.shapes import SHAPES
from viamachinae.flows import Architecture

SMALL = {
    "maf": Architecture(2, 1, 2, (16, 16)),
    "rqs": Architecture(2, 1, 2, (16, 16), family="rqs_autoregressive"),
}
BOTH = pytest.mark.parametrize("family", SMALL)
EACH = pytest.mark.parametrize("name", LIBRARIES)


def built(name, architecture, models=1, learning_rate=1e-2):
    found = LIBRARIES[name]
    if reason := missing(found.packages) or found.cannot(architecture):
        pytest.skip(f"{name}: {reason}")
    return found.flows(architecture, shifted_stars(2000, 0), models, Recipe(learning_rate, 100), 0)


def shifted_stars(n, seed):
    rows = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    rows[:, :2] = 0.7 * rows[:, :2] + 0.5 * rows[:, 2:]
    return rows


def order(models, steps, seed=0):
    drawn = np.random.default_rng(seed).integers(2000, size=(models, steps, 100))
    return drawn.astype(np.int32)


@cache
def fitted(name, family):
    """Flows after 120 steps, and their mean ln p of other stars before and after."""
    flows = built(name, SMALL[family])
    stars = shifted_stars(1000, 1)[None]
    before = flows.log_prob(stars).mean()
    for epoch in range(6):
        flows.train(order(1, 20, epoch))
    return flows, before, flows.log_prob(stars).mean()


@EACH
@BOTH
def test_density_integrates_to_one_after_training(name, family):
    flows, _, _ = fitted(name, family)
    edge = np.linspace(-7, 7, 141, dtype=np.float32)
    x, y = np.meshgrid(edge, edge)
    rows = np.stack([x.ravel(), y.ravel(), np.full(x.size, 0.6, np.float32)], axis=1)
    density = np.exp(flows.log_prob(rows[None])[0].astype(np.float64))
    assert density.sum() * (edge[1] - edge[0]) ** 2 == pytest.approx(1, abs=5e-3)


@EACH
@BOTH
def test_training_ends_near_the_truth(name, family):
    _, before, after = fitted(name, family)
    # Two features of width 0.7 about half the condition.
    truth = -np.log(2 * np.pi * 0.49) - 1
    assert before + 0.1 < after
    assert truth - 0.15 < after < truth + 0.1


@EACH
@BOTH
def test_samples_follow_their_conditions(name, family):
    flows, _, _ = fitted(name, family)
    condition = np.repeat(np.float32([-1.5, 1.5]), 2000)[None, :, None]
    drawn = flows.sample(condition)
    assert drawn.shape == (1, 4000, 2)
    low, high = drawn[0, :2000].mean(axis=0), drawn[0, 2000:].mean(axis=0)
    np.testing.assert_allclose(high - low, 1.5, atol=0.3)
    assert not np.array_equal(flows.sample(condition), drawn)


@pytest.mark.parametrize("name", ["torch", "native", "FlowJAX"])
def test_models_of_a_group_learn_from_their_own_rows(name):
    several, alone = (built(name, SMALL["maf"], models) for models in (3, 1))
    rows = order(3, 20)
    several.train(rows)
    alone.train(rows[:1])
    stars = shifted_stars(500, 2)[None]
    found = several.log_prob(np.repeat(stars, 3, axis=0))
    if name != "FlowJAX":  # which splits its seed by the number of models
        np.testing.assert_allclose(found[0], alone.log_prob(stars)[0], atol=1e-3)
    assert abs(found[0] - found[1]).max() > 1e-3
    assert several.sample(np.zeros((3, 4, 1), np.float32)).shape == (3, 4, 2)


@EACH
def test_a_falling_rate_ends_at_zero(name):
    found = LIBRARIES[name]
    if reason := missing(found.packages):
        pytest.skip(f"{name}: {reason}")
    recipe = Recipe(1e-2, 100, steps=20)
    flows = found.flows(SMALL["maf"], shifted_stars(2000, 0), 1, recipe, 0)
    stars = shifted_stars(500, 2)[None]
    flows.train(order(1, 20))
    ended = flows.log_prob(stars)
    rested = built(name, SMALL["maf"])
    rested.train(order(1, 20))
    moved = abs(rested.log_prob(stars) - ended).max()
    assert moved > 1e-3


def test_the_absent_are_named(monkeypatch):
    monkeypatch.setattr(library, "find_spec", lambda package: None if package == "jax" else package)
    able, reasons = who_can(SHAPES["8x64x2"])
    assert reasons["FlowJAX"] == "jax not installed"
    assert "FlowJAX" not in [found.name for found in able]
    assert "torch" in [found.name for found in able]


def test_batch_norm_is_left_to_our_engines():
    able, reasons = who_can(SHAPES["15x128-bn"])
    assert {found.name for found in able} <= {found.name for found in libraries.OURS}
    assert {found.name for found in libraries.PEERS} <= set(reasons)


def test_an_engine_without_a_kernel_says_so():
    odd = replace(SHAPES["8x64x2"], mixing="lu")
    assert "lu" in LIBRARIES["native"].cannot(odd)


def test_the_native_engine_is_timed_one_by_one_and_on_a_stack():
    found = LIBRARIES["native"]
    ways = [found.groups(SMALL["maf"], stack, 512) for stack in (1, 4, 64)]
    assert ways == [(1,), (1, 4), (1, 16)]
