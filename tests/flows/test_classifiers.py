"""Stacks of classifiers: likelihood, weights, averages, against torch's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from viamachinae.flows.classifiers import ClassifierArchitecture, ClassifierStack, signed_weights

SHAPE = ClassifierArchitecture(3, 0, 1, (8, 8))


@pytest.fixture
def stack() -> ClassifierStack:
    drawn = ClassifierStack.draw(SHAPE, [np.random.default_rng(k) for k in range(4)])
    with torch.no_grad():
        drawn.weights *= 5
    return drawn.eval()


def test_both_classes_weigh_the_same():
    is_data = np.array([True] + 4 * [False])
    weights = signed_weights(is_data)
    np.testing.assert_allclose(weights, [2.5] + 4 * [-0.625])
    assert np.abs(weights).mean() == pytest.approx(1)


def test_the_likelihood_is_the_weighted_cross_entropy(stack):
    x = torch.randn(4, 50, 3, generator=torch.Generator().manual_seed(0))
    weight = torch.linspace(-2, 2, 50).expand(4, -1).unsqueeze(-1)
    log_odds = stack.forward(x)[1]
    expected = -binary_cross_entropy_with_logits(
        log_odds, (weight > 0).float().squeeze(-1), weight.abs().squeeze(-1), reduction="none"
    )
    torch.testing.assert_close(stack.log_prob(x, weight), expected)


def test_a_network_is_that_of_plain_layers(stack):
    x = torch.randn(1, 9, 3, generator=torch.Generator().manual_seed(1))
    sizes = [(8, 3), (8,), (8, 8), (8,), (1, 8), (1,)]
    weights = torch.split(stack.weights[2], [int(np.prod(size)) for size in sizes])
    parameters = [part.view(size) for part, size in zip(weights, sizes, strict=True)]
    units = x[0]
    for layer in range(3):
        units = units @ parameters[2 * layer].T + parameters[2 * layer + 1]
        units = units if layer == 2 else units.relu()
    torch.testing.assert_close(stack.select([2]).forward(x)[1][0], units[:, 0])


def test_averaged_odds_are_those_of_the_mean_probability(stack):
    x = torch.randn(30, 3, generator=torch.Generator().manual_seed(2))
    probability = stack.forward(x.expand(4, -1, -1))[1].double().sigmoid().mean(0)
    torch.testing.assert_close(stack.average_log_odds(x), torch.logit(probability))
    # Certain classifiers stay finite, where probabilities would round to one.
    with torch.no_grad():
        stack.weights *= 30
    assert stack.average_log_odds(x).isfinite().all()


def test_it_maps_back(stack):
    x = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(3))
    same, log_odds = stack.forward(x)
    torch.testing.assert_close(stack.inverse(same), (x, -log_odds))
