"""Masks: outputs of a feature see the conditions and the features before it, all of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from viamachinae.flows.networks import MaskedMLP


@pytest.mark.parametrize("features", [2, 3, 5, 8])
@pytest.mark.parametrize("conditions", [0, 1, 3])
@pytest.mark.parametrize("hidden", [(32,), (16, 24), (20, 16, 20)])
def test_masks_connect_exactly_the_earlier_features(features, conditions, hidden):
    network = MaskedMLP(features, conditions, hidden, outputs=2)
    paths = np.eye(features + conditions)
    for mask in network.masks().values():
        paths = mask.astype(float) @ paths
    reached = paths.reshape(2, features, features + conditions) > 0
    expected = np.tri(features, features, k=-1, dtype=bool)
    np.testing.assert_array_equal(reached[..., :features], np.stack([expected, expected]))
    assert reached[..., features:].all()


def test_gradients_respect_the_order():
    network = MaskedMLP(4, 1, (16, 16), outputs=2)
    drawn = network.draw(np.random.default_rng(3))
    parameters = {name: torch.from_numpy(value)[None] for name, value in drawn.items()}
    condition = torch.zeros(1, 1, 1, dtype=torch.float64)

    def outputs(x: torch.Tensor) -> torch.Tensor:
        return network.apply(parameters, x.view(1, 4, 1), condition).flatten()

    point = torch.tensor([0.3, -0.2, 0.5, 1.0], dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(outputs, point).view(2, 4, 4)
    assert torch.equal(jacobian.triu(), torch.zeros_like(jacobian))
    assert (jacobian[:, 3, :3] != 0).any()
