"""The count of operations, against what networks of ones let through."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from viamachinae.bench.shapes import SHAPES, connections, operations
from viamachinae.flows import Architecture, FlowStack


@pytest.mark.parametrize("name", SHAPES)
def test_connections_are_the_weights_that_a_drawn_flow_has(name):
    stack = FlowStack.draw(SHAPES[name], [np.random.default_rng(0)])
    by_transform = stack._by_transform()
    drawn = [v for group in by_transform for k, v in group.items() if k.startswith("weight")]
    assert connections(SHAPES[name]) == sum(int(torch.count_nonzero(w)) for w in drawn)


def test_connections_of_a_network_counted_by_hand():
    # Degrees: inputs 1, 2 and 0 (the condition), hidden 0 and 1, outputs 1, 2, 1, 2. The unit of
    # degree 0 sees one input, that of degree 1 two; outputs of feature 1 see one unit, others two.
    assert connections(Architecture(2, 1, 1, (2,))) == 3 + 2 * (1 + 2)
    assert connections(Architecture(2, 1, 3, (2,))) == 3 * 9


def test_training_needs_three_products_a_connection():
    shape = SHAPES["8x64x2"]
    assert operations(shape, "training") == 3 * operations(shape, "log_prob")
    assert operations(shape, "sampling") == 2 * connections(shape)
