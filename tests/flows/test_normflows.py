"""The same weights give the densities of normflows, another library, where it is installed.

Its spline blocks agree with ours; its affine map has another scale (a sigmoid). The flow is the
one that the benchmark times.
"""

from __future__ import annotations

from math import expm1, log

import numpy as np
import pytest
import torch

from viamachinae.bench.normflows import normflows_flow
from viamachinae.flows.architecture import Architecture
from viamachinae.flows.splines import RationalQuadratic
from viamachinae.flows.stack import FlowStack

pytest.importorskip("normflows")


def give_weights(net, parameters, architecture: Architecture) -> None:
    """Our weights, masked already, in the layers of one of its networks."""
    d, spline = architecture.features, architecture.spline
    layers = [net.made.initial_layer, *(block.linear for block in net.made.blocks)]
    for number, layer in enumerate([*layers, net.made.final_layer]):
        weight, bias = parameters[f"weight{number}"][0], parameters[f"bias{number}"][0]
        if number == 0:
            net.context.weight.data, weight = weight[:, d:].clone(), weight[:, :d]
            net.context.bias.data.zero_()
        if layer is net.made.final_layer:  # its rows run over parameters, ours over features
            weight, bias = (v.unflatten(0, (-1, d)).transpose(0, 1) for v in (weight, bias))
            bias = bias.clone()
            bias[:, 2 * spline.bins :] += log(expm1(1 - spline.min_slope))
            weight, bias = weight.flatten(0, 1), bias.flatten()
        layer.weight.data, layer.bias.data = weight.clone(), bias.clone()
        layer.mask = torch.ones_like(layer.mask)


@pytest.mark.parametrize("spline", [RationalQuadratic(), RationalQuadratic(6, 2.0)])
def test_log_prob_is_that_of_normflows(spline):
    architecture = Architecture(5, 1, 3, (24, 24), family="rqs_autoregressive", spline=spline)
    stack = FlowStack.draw(architecture, [np.random.default_rng(0)]).double().eval()
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        stack.weights += 0.3 * torch.randn(
            stack.weights.shape, generator=noise, dtype=torch.float64
        )
    peer = normflows_flow(architecture).double()
    networks = [made.block.autoregressive_net for made in peer.flows if hasattr(made, "block")]
    groups = [group for group in stack._by_transform() if group]
    with torch.no_grad():
        for net, parameters in zip(reversed(networks), groups, strict=True):
            give_weights(net, parameters, architecture)
    rows = 1.5 * torch.randn(500, 6, generator=noise, dtype=torch.float64)
    x, condition = rows[:, :5], rows[:, 5:]
    with torch.no_grad():
        expected = peer.log_prob(x, context=condition)
        found = stack.log_prob(x[None], condition[None])[0]
    assert float(expected.std()) > 0.1
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
