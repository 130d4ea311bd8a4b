"""Whether the kernels can serve a flow on a device, and whether they agree with torch there."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import numpy as np
import torch

from viamachinae.flows.architecture import Architecture
from viamachinae.flows.gpu.engine import TritonStack, interpreted
from viamachinae.flows.gpu.launch import loss_of_batch
from viamachinae.flows.gpu.shape import too_large
from viamachinae.flows.stack import FlowStack

# The first generation whose matrix units know tf32.
LEAST_CAPABILITY = (8, 0)
# Rounding is below a hundredth of this; an error of the kernels is not.
TOLERANCE = 1e-3
# More than a tile, the last of them ragged, with batch norm too.
STARS = 140


def why_not_triton(architecture: Architecture, device: torch.device) -> str:
    """Why the engine cannot serve a flow that autoregressive kernels can; empty where it can."""
    if device.type != "cuda" and not interpreted():
        return f"that runs on CUDA and the device is {device.type}"
    if size := too_large(architecture):
        return f"that has no kernel for {size}"
    if find_spec("triton") is None:
        return "triton, which torch's CUDA builds bring, is not installed"
    if not interpreted() and (reason := _unfit_device(device)):
        return reason
    return _disagreement(architecture, device)


def _unfit_device(device: torch.device) -> str:
    if torch.version.cuda is None or not torch.cuda.is_available():
        return "torch finds no CUDA device here"
    if torch.cuda.get_device_capability(device) < LEAST_CAPABILITY:
        return "that needs a device of compute capability 8.0 or more"
    return ""


@cache
def _disagreement(architecture: Architecture, device: torch.device) -> str:
    """How the kernels fail for a flow on a device, tried once; empty where they agree."""
    from triton import TritonError

    try:
        error = worst_error(architecture, device)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TritonError) as failure:
        return f"its kernels do not run here: {(str(failure).splitlines() or ['?'])[-1]}"
    if not error < TOLERANCE:
        return f"its kernels differ from torch by {error:.2g} here"
    return ""


def worst_error(architecture: Architecture, device: torch.device) -> float:
    """The greatest difference from torch, each in units of the greatest number of its kind.

    Of ln p, of the loss and of its gradient, for two fresh flows at random points.
    """
    flows = [np.random.default_rng([1, k]) for k in (0, 1)]
    torchs = FlowStack.draw(architecture, flows).to(device).train()
    both = architecture.features + architecture.conditions
    drawn = np.random.default_rng(2).normal(size=(2 * STARS, both)).astype(np.float32)
    stars = torch.from_numpy(drawn).to(device)
    rows = torch.arange(2 * STARS, device=device).view(2, STARS)
    x, condition = stars[rows].tensor_split([architecture.features], dim=2)
    loss = -torchs.log_prob(x, condition).mean(dim=1)
    (gradient,) = torch.autograd.grad(loss.sum(), torchs.weights)
    weights = (torchs.weights * torchs.mask).detach()
    found = loss_of_batch(architecture, weights, stars, rows)
    ours = TritonStack(architecture, weights, torchs.statistics).eval()
    with torch.no_grad():
        densities = ours.log_prob(x, condition), torchs.eval().log_prob(x, condition)
    pairs = [densities, (found.loss, loss.detach()), (found.gradient * torchs.mask, gradient)]
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)
