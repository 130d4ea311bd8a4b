"""The same weights give the densities of zuko, another library of flows, where it is installed.

Its networks, autoregressive and coupling transforms, splines and affine maps are built with
its own classes, and given the weights and masks of ours.
"""

from __future__ import annotations

from math import exp

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus

from viamachinae.flows.architecture import Architecture
from viamachinae.flows.blocks import Coupling
from viamachinae.flows.splines import RationalQuadratic
from viamachinae.flows.stack import FlowStack
from viamachinae.flows.univariate import LOG_SCALE_BOUND

zuko = pytest.importorskip("zuko")

# Its smallest slope, so small that its soft limits can be undone in float64.
SLOPE = 1e-30


def affine(shift: torch.Tensor, scale: torch.Tensor) -> torch.distributions.Transform:
    return zuko.transforms.MonotonicAffineTransform(shift, scale, slope=exp(-LOG_SCALE_BOUND)).inv


def unlimited(value: torch.Tensor, factor: float) -> torch.Tensor:
    """What zuko's soft limit maps to a value."""
    return value / (1 - (factor * value / np.log(SLOPE)).abs())


def spline_of(spline: RationalQuadratic):
    def build(widths, heights, slopes):
        sizes = [
            torch.log(floor + (1 - spline.bins * floor) * torch.softmax(raw, dim=-1))
            for raw, floor in ((widths, spline.min_width), (heights, spline.min_height))
        ]
        shift = np.log(np.expm1(1 - spline.min_slope))
        log_slopes = torch.log(spline.min_slope + softplus(slopes + shift))
        return zuko.transforms.MonotonicRQSTransform(
            *(unlimited(size, 2) for size in sizes),
            unlimited(log_slopes, 1),
            bound=spline.bound,
            slope=SLOPE,
        )

    return build


def affine_then(second):
    def build(shift, scale, *raw):
        return zuko.transforms.ComposedTransform(affine(shift, scale), second(*raw))

    return build


def zuko_block(block, parameters, architecture: Architecture):
    spline, d = architecture.spline, architecture.features
    shapes = [(), ()]
    if spline is not None:
        shapes = [(spline.bins,), (spline.bins,), (spline.bins - 1,)]
    univariate = affine if spline is None else spline_of(spline)
    if architecture.affine_first:
        shapes, univariate = [(), (), *shapes], affine_then(univariate)
    options = {
        "context": architecture.conditions,
        "univariate": univariate,
        "shapes": shapes,
        "hidden_features": architecture.hidden,
    }
    if isinstance(block, Coupling):
        mapped = d - block.passed
        made = zuko.flows.GeneralCouplingTransform(
            d, mask=torch.arange(d) < block.passed, **options
        )
    else:
        mapped = d
        made = zuko.flows.MaskedAutoregressiveTransform(d, **options)
    layers = [layer for layer in made.double().hyper if hasattr(layer, "weight")]
    for number, layer in enumerate(layers):
        weight, bias = parameters[f"weight{number}"][0], parameters[f"bias{number}"][0]
        if number == len(layers) - 1:  # its rows run over features, ours over parameters
            weight, bias = (
                v.unflatten(0, (-1, mapped)).transpose(0, 1).flatten(0, 1) for v in (weight, bias)
            )
        layer.weight.data, layer.bias.data = weight.detach().clone(), bias.detach().clone()
        if hasattr(layer, "mask"):
            layer.mask = torch.ones_like(layer.mask)  # our weights are masked already
    return zuko.lazy.LazyInverse(made) if architecture.family == "iaf" else made


def zuko_flow(stack: FlowStack):
    d = stack.architecture.features
    transforms = []
    for block, parameters in zip(stack.transforms, stack._by_transform(), strict=True):
        if parameters:
            transforms.append(zuko_block(block, parameters, stack.architecture))
        else:
            reverse = torch.arange(d - 1, -1, -1)
            transforms.append(
                zuko.lazy.UnconditionalTransform(
                    zuko.transforms.PermutationTransform, reverse, buffer=True
                )
            )
    base = zuko.lazy.UnconditionalDistribution(
        zuko.distributions.DiagNormal, torch.zeros(d).double(), torch.ones(d).double()
    )
    return zuko.flows.Flow(transforms, base)


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture(5, 1, 3, (24, 24)),
        Architecture(3, 2, 2, (16,), family="iaf"),
        Architecture(5, 1, 3, (24,), family="affine_coupling"),
        Architecture(5, 1, 3, (24, 24), family="rqs_autoregressive"),
        Architecture(5, 1, 2, (24,), family="rqs_autoregressive", affine_first=True),
        Architecture(5, 1, 2, (24,), family="rqs_coupling", spline=RationalQuadratic(6, 2.0)),
    ],
    ids=lambda a: a.family + "-affine" * a.affine_first,
)
def test_log_prob_is_that_of_zuko(architecture):
    stack = FlowStack.draw(architecture, [np.random.default_rng(0)]).double().eval()
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        stack.weights += 0.3 * torch.randn(
            stack.weights.shape, generator=noise, dtype=torch.float64
        )
    both = architecture.features + architecture.conditions
    rows = 1.5 * torch.randn(500, both, generator=noise, dtype=torch.float64)
    x, condition = rows[:, : architecture.features], rows[:, architecture.features :]
    with torch.no_grad():
        expected = zuko_flow(stack)(condition).log_prob(x)
        found = stack.log_prob(x[None], condition[None])[0]
    assert float(expected.std()) > 0.1
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
