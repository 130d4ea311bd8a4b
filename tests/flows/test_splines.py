"""Rational-quadratic splines: known curves, gradients, tails, float32."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from viamachinae.flows.splines import RationalQuadratic
from viamachinae.flows.univariate import Affine, Chain


def drawn(spline: RationalQuadratic, shape: tuple[int, int, int], scale: float) -> torch.Tensor:
    models, features, stars = shape
    noise = torch.Generator().manual_seed(0)
    full = (models, spline.parameters, features, stars)
    return scale * torch.randn(full, generator=noise, dtype=torch.float64)


@pytest.mark.parametrize("bins", [2, 8])
def test_gradients_are_those_of_finite_differences(bins):
    spline = RationalQuadratic(bins=bins, bound=2.0, min_width=0.05, min_height=0.02)
    raw = drawn(spline, (2, 2, 2), 1.5).requires_grad_()
    x = torch.linspace(-2.6, 2.7, 8, dtype=torch.float64).view(2, 2, 2).requires_grad_()
    assert torch.autograd.gradcheck(spline.forward, (raw, x), fast_mode=True)
    assert torch.autograd.gradcheck(spline.inverse, (raw, x), fast_mode=True)


def test_it_is_monotonic_invertible_and_maps_the_box_onto_itself():
    spline = RationalQuadratic(bins=6, bound=4.0)
    x = torch.linspace(-6, 6, 2001, dtype=torch.float64).expand(1, 30, -1)
    raw = drawn(spline, (1, 30, 1), 2.0).expand(-1, -1, -1, 2001)
    z, log_slope = spline.forward(raw, x)
    assert (z.diff() > 0).all()
    back, inverse_log_slope = spline.inverse(raw, z)
    torch.testing.assert_close(back, x, rtol=0, atol=1e-8)
    torch.testing.assert_close(inverse_log_slope, -log_slope, rtol=0, atol=1e-5)
    outside = spline.outside(raw, x)
    assert outside.double().mean() == pytest.approx(1 / 3, abs=1e-2)
    torch.testing.assert_close(z[outside], x[outside], rtol=0, atol=1e-12)
    torch.testing.assert_close(log_slope[outside], torch.zeros_like(log_slope[outside]))


def test_slope_is_continuous_at_the_edges_of_the_box_and_at_knots():
    spline = RationalQuadratic(bins=4, bound=1.0, min_width=0.1, min_height=0.1)
    x = torch.linspace(-1.2, 1.2, 200_001, dtype=torch.float64).expand(1, 3, -1)
    raw = drawn(spline, (1, 3, 1), 1.0).expand(-1, -1, -1, x.shape[2])
    _, log_slope = spline.forward(raw, x)
    assert float(log_slope.diff().abs().max()) < 1e-3


def test_a_hyperbola_is_followed_exactly():
    """Knots and slopes of (x + a) / (1 + a x): its pieces are of the spline's own kind."""
    bins, a = 6, 0.6
    knots = np.linspace(-1, 1, bins + 1)

    def curve(x: np.ndarray) -> np.ndarray:
        return (x + a) / (1 + a * x)

    slopes = (1 - a**2) / (1 + a * knots[1:-1]) ** 2
    spline = RationalQuadratic(bins, 1.0, min_width=0.0, min_height=0.0, min_slope=1e-12)
    raw_slopes = np.log(np.expm1(slopes)) - np.log(np.expm1(1))
    raw = np.concatenate([np.zeros(bins), np.log(np.diff(curve(knots))), raw_slopes])
    x = np.linspace(knots[1], knots[-2], 301)[1:-1]  # at the ends of the box slopes are 1
    tensor = torch.from_numpy(raw).view(1, -1, 1, 1).expand(-1, -1, 1, len(x))
    z, log_slope = spline.forward(tensor, torch.from_numpy(x).view(1, 1, -1))
    np.testing.assert_allclose(z.flatten(), curve(x), atol=1e-10)
    np.testing.assert_allclose(log_slope.flatten().exp(), (1 - a**2) / (1 + a * x) ** 2, rtol=1e-9)


def test_float32_is_stable_for_extreme_parameters():
    spline = RationalQuadratic()
    raw = drawn(spline, (4, 5, 5000), 8.0)
    noise = torch.Generator().manual_seed(1)
    x = 4 * torch.randn(4, 5, 5000, generator=noise, dtype=torch.float64)
    single = raw.float().requires_grad_()
    z, log_slope = spline.forward(single, x.float())
    (gradient,) = torch.autograd.grad(log_slope.sum() + z.sum(), single)
    assert torch.isfinite(gradient).all()
    back, _ = spline.inverse(single.detach(), z.detach())
    again, _ = spline.forward(single.detach(), back)
    assert torch.isfinite(back).all()
    expected, _ = spline.forward(raw, x)
    for error in (again - z, expected - z):
        assert float(error.detach().abs().quantile(0.99)) < 1e-3


def test_an_affine_map_before_a_spline_moves_its_box():
    chain = Chain(Affine(), RationalQuadratic(bins=4, bound=1.0))
    raw = torch.zeros(1, chain.parameters, 1, 3, dtype=torch.float64)
    raw[:, 0] = 10.0  # the shift; the scale stays 1
    x = torch.tensor([[[0.0, 9.5, 11.5]]], dtype=torch.float64)
    assert chain.outside(raw, x).flatten().tolist() == [True, False, True]
    torch.testing.assert_close(chain.forward(raw, x)[0], x - 10)


def test_nan_stays_nan():
    spline = RationalQuadratic()
    raw = drawn(spline, (1, 1, 1), 1.0)
    z, _ = spline.forward(raw, torch.full((1, 1, 1), torch.nan, dtype=torch.float64))
    assert torch.isnan(z).all()


@pytest.mark.parametrize(
    "options",
    [{"bins": 1}, {"bound": 0.0}, {"bins": 20, "min_width": 0.05}, {"min_slope": 1.0}],
)
def test_splines_without_freedom_are_refused(options):
    with pytest.raises(ValueError, match="spline"):
        RationalQuadratic(**options)
