"""The triton engine: stacks and lanes that compute in fused kernels where those can serve.

It computes what the torch engine computes, in float32 and another order of summation.
"""

from __future__ import annotations

import os

import torch
from torch import Tensor

from viamachinae.flows.gpu.launch import loss_of_batch, map_to_latent
from viamachinae.flows.lanes import TorchLanes
from viamachinae.flows.stack import FlowStack
from viamachinae.flows.transforms import BATCH_NORM_MOMENTUM


def interpreted() -> bool:
    """Whether triton's own interpreter is to run the kernels on the CPU: for tests."""
    return os.environ.get("TRITON_INTERPRET") == "1"


class TritonStack(FlowStack):
    """A stack that maps to latent space in a kernel wherever that can do the work.

    That is: in evaluation mode, without autograd (under `torch.no_grad`), in float32 on a CUDA
    device. Elsewhere the torch code runs, as it does for the inverse.
    """

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Data to latent space."""
        if not self._kernel_serves(x):
            return super().forward(x, condition)
        stars = torch.cat([x, self._checked(x, condition).to(x)], dim=2)
        weights = self.weights.detach() * self.mask
        return map_to_latent(self.architecture, weights, self.statistics, stars)

    def _kernel_serves(self, x: Tensor) -> bool:
        device = "cpu" if interpreted() else "cuda"
        plain = all(t.dtype == torch.float32 and t.device.type == device for t in (x, self.weights))
        return plain and not self.training and not torch.is_grad_enabled()


class TritonLanes(TorchLanes):
    """Lanes whose losses and gradients come from a kernel; all else is torch's."""

    def _loss_and_gradient(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        stack = self.stack
        weights = stack.weights.detach() * stack.mask
        found = loss_of_batch(stack.architecture, weights, self.stars, rows)
        if stack.architecture.batch_norm:
            stack.statistics.lerp_(found.statistics, BATCH_NORM_MOMENTUM)
        return found.loss, found.gradient * stack.mask
