"""What computes: torch everywhere, or a compiled kernel for the flows that it knows."""

from __future__ import annotations

import logging
from functools import cache
from typing import Literal, NamedTuple

import torch

from viamachinae.flows.architecture import Architecture
from viamachinae.flows.kernel import library
from viamachinae.flows.lanes import Lanes, TorchLanes
from viamachinae.flows.native import NativeLanes, NativeStack
from viamachinae.flows.stack import FlowStack

logger = logging.getLogger("viamachinae.flows")

EngineName = Literal["auto", "torch", "native"]


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


def choose_engine(wanted: EngineName, architecture: Architecture, device: torch.device) -> Engine:
    """The engine to use; ``auto`` is ``native`` where that can do the work, else ``torch``.

    Why it cannot stands in the log once.

    Raises
    ------
    ValueError
        If ``native`` is asked for and cannot do the work.
    """
    if wanted == "torch":
        return TORCH
    why_not = _why_not_native(architecture, device)
    if not why_not:
        return NATIVE
    if wanted == "native":
        raise ValueError(f"engine is native, but {why_not}; use auto or torch")
    if why_not != NOT_BUILT:  # of that, `library` has told
        _tell(why_not)
    return TORCH


@cache
def _tell(why_not: str) -> None:
    logger.info("flows run on torch, not on the native engine: %s", why_not)


def _why_not_native(architecture: Architecture, device: torch.device) -> str:
    if device.type != "cpu":
        return f"that runs on the CPU and the device is {device.type}"
    if architecture.family not in ("maf", "rqs_autoregressive"):
        return f"that has no kernel for the family {architecture.family}"
    if architecture.mixing == "lu":
        return "that has no kernel for blocks mixed by lu"
    if architecture.base != "normal":
        return f"that has no kernel for a {architecture.base} base"
    if library() is None:
        return NOT_BUILT
    return ""
