"""The stacked Adam against torch's own, model by model."""

from __future__ import annotations

import pytest
import torch

from viamachinae.flows.optimiser import AdamState, adam_step, clip_by_model


def test_each_row_is_torchs_adam_with_its_own_step_count():
    noise = torch.Generator().manual_seed(0)
    start = torch.randn(2, 6, generator=noise, dtype=torch.float64)
    gradients = torch.randn(5, 2, 6, generator=noise, dtype=torch.float64)
    stacked, state = start.clone(), AdamState.fresh(start)
    for gradient in gradients[:3]:
        adam_step(stacked, gradient, state, 0.03, 0.1)
    # The first model begins anew while the second goes on: bias corrections must differ.
    stacked[0] = start[0]
    state.put(0, AdamState.fresh(start[:1]))
    for gradient in gradients[3:]:
        adam_step(stacked, gradient, state, 0.03, 0.1)
    for model, seen in ((0, gradients[3:]), (1, gradients)):
        weights = torch.nn.Parameter(start[model].clone())
        adam = torch.optim.Adam([weights], lr=0.03, weight_decay=0.1)
        for gradient in seen:
            weights.grad = gradient[model].clone()
            adam.step()
        torch.testing.assert_close(stacked[model], weights.detach(), rtol=1e-10, atol=1e-10)


def test_long_gradients_are_shortened_row_by_row():
    gradient = torch.tensor([[3.0, 4.0], [0.3, 0.4]])
    clip_by_model(gradient, 1.0)
    assert gradient[0].norm() == pytest.approx(1.0)
    torch.testing.assert_close(gradient[1], torch.tensor([0.3, 0.4]))
