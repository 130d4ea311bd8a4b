"""zuko: flows of its own classes, the features reversed from block to block."""

from __future__ import annotations

from torch import nn

from viamachinae.bench.modules import ModulePeer
from viamachinae.flows import Architecture


def zuko_flow(architecture: Architecture) -> nn.Module:
    """The flow in zuko; its second block and every other sees the features in reverse order."""
    import zuko

    options = {
        "transforms": architecture.blocks,
        "hidden_features": architecture.hidden,
        "randperm": False,
    }
    d, m = architecture.features, architecture.conditions
    flow: nn.Module = (
        zuko.flows.MAF(d, m, **options)
        if architecture.spline is None
        else zuko.flows.NSF(d, m, bins=architecture.spline.bins, **options)
    )
    return flow


ZUKO = ModulePeer(
    "zuko",
    zuko_flow,
    lambda flow, x, condition: flow(condition).log_prob(x),
    lambda flow, condition: flow(condition).sample(),
)
