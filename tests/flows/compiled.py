"""Compiles the kernels of the triton engine for a device that need not be here: a program.

``python compiled.py CAPABILITY SHAPE ...`` prints for each shape of the benchmark and each kernel
a line of JSON: its name, and the bytes of shared memory that a program needs.
"""

from __future__ import annotations

import json
import sys

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver

from viamachinae.bench.shapes import SHAPES
from viamachinae.flows.gpu import kernels
from viamachinae.flows.gpu.launch import tiling
from viamachinae.flows.gpu.shape import shape_of


class Device:
    """A device of some compute capability, of which triton asks no more than its name."""

    def __init__(self, capability: int) -> None:
        self.target = GPUTarget("cuda", capability, 32)

    def get_current_target(self) -> GPUTarget:
        return self.target

    def get_current_device(self) -> int:
        return self.target.arch

    def get_current_stream(self, _device: int) -> int:
        return 0


def main(capability: int, names: list[str]) -> None:
    driver.set_active(Device(capability))
    floats, rows, batch = torch.empty(64), torch.zeros(64, dtype=torch.int64), 256
    for name in names:
        shape = shape_of(SHAPES[name])
        tiles = tiling(shape, batch)[1]
        calls = (
            (kernels.densities, (*[floats] * 5, 65_536, shape)),
            (
                kernels.loss_and_gradient,
                (*[floats] * 3, rows, *[floats] * 4, batch, batch, tiles, shape),
            ),
        )
        for kernel, given in calls:
            found = kernel.warmup(*given, grid=(1,), num_warps=shape.warps, num_stages=1)
            line = {"kernel": f"{name} {kernel.__name__}", "shared": found.metadata.shared}
            print(json.dumps(line), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
