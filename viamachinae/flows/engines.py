"""What computes: torch everywhere, or compiled kernels for the flows that they know."""

from __future__ import annotations

import logging
from functools import cache
from typing import Literal, NamedTuple

import torch

from viamachinae.flows.architecture import Architecture
from viamachinae.flows.gpu.check import why_not_triton
from viamachinae.flows.gpu.engine import TritonLanes, TritonStack
from viamachinae.flows.lanes import Lanes, TorchLanes
from viamachinae.flows.native import NativeLanes, NativeStack
from viamachinae.flows.stack import FlowStack
from viamachinae.flows.variants import library

logger = logging.getLogger("viamachinae.flows")

EngineName = Literal["auto", "torch", "native", "triton"]


class Engine(NamedTuple):
    """Two classes that do the same whatever the engine.

    Attributes
    ----------
    name : str
    stack : type of FlowStack
        For densities and samples.
    lanes : type of Lanes
        For training.
    """

    name: str
    stack: type[FlowStack]
    lanes: type[Lanes]


NOT_BUILT = "it was not built with this installation, which needs a C++ compiler"

TORCH = Engine("torch", FlowStack, TorchLanes)
NATIVE = Engine("native", NativeStack, NativeLanes)
TRITON = Engine("triton", TritonStack, TritonLanes)


def choose_engine(wanted: EngineName, architecture: Architecture, device: torch.device) -> Engine:
    """The engine to use.

    ``auto`` is ``triton`` on CUDA and ``native`` on the CPU where those can do the work, else
    ``torch``. Why they cannot stands in the log once.

    Raises
    ------
    ValueError
        If ``native`` or ``triton`` is asked for and cannot do the work.
    """
    if wanted == "torch":
        return TORCH
    on_cuda = device.type == "cuda"
    engine = TRITON if wanted == "triton" or (wanted == "auto" and on_cuda) else NATIVE
    why_not = _why_not(engine, architecture, device)
    if not why_not:
        return engine
    if wanted != "auto":
        raise ValueError(f"engine is {wanted}, but {why_not}; use auto or torch")
    if why_not != NOT_BUILT:  # of that, `library` has told
        _tell(engine.name, why_not)
    return TORCH


@cache
def _tell(engine: str, why_not: str) -> None:
    logger.info("flows run on torch, not on the %s engine: %s", engine, why_not)


def _why_not(engine: Engine, architecture: Architecture, device: torch.device) -> str:
    """Why one of the engines with kernels of their own cannot do the work."""
    if engine is NATIVE and device.type != "cpu":
        return f"that runs on the CPU and the device is {device.type}"
    if architecture.family not in ("maf", "rqs_autoregressive"):
        return f"that has no kernel for the family {architecture.family}"
    if architecture.mixing == "lu":
        return "that has no kernel for blocks mixed by lu"
    if architecture.base != "normal":
        return f"that has no kernel for a {architecture.base} base"
    if engine is TRITON:
        return why_not_triton(architecture, device)
    return NOT_BUILT if library() is None else ""
