"""What every score is computed with: where, by what, from what, to what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from viamachinae.errors import BadInputError
from viamachinae.flows.engines import NATIVE, TRITON, Engine, choose_engine
from viamachinae.score.trained import Density, Trained

Array = NDArray[np.float64]
Device = Literal["auto", "cpu", "cuda"]


class RegionStars(NamedTuple):
    """Stars inside a signal region, scaled, on the device to compute on.

    Attributes
    ----------
    z : Tensor of shape (N, d), float32
    given : Tensor of shape (N, 1), float32
        The condition.
    source_id : ndarray of shape (N,), int64
    """

    z: Tensor
    given: Tensor
    source_id: NDArray[np.int64]


class RegionScores(NamedTuple):
    """Natural logarithms in the scaled space, each of shape (N,); NaN where a method has none.

    Attributes
    ----------
    sr, cr : ndarray, float64
        Density of the signal region's stars, and that of the control region's carried there.
    ratio : ndarray, float64
        The score.
    """

    sr: Array
    cr: Array
    ratio: Array


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread: the bytes of results must not depend on the number of cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def choose_device(device: Device) -> torch.device:
    """The device to compute on: ``auto`` is CUDA where there is a device, else the CPU.

    Raises
    ------
    BadInputError
        If CUDA is asked for and absent.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise BadInputError(
            "train.device is cuda, but torch finds no CUDA device here; use auto or cpu"
        )
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


def device_name(device: torch.device) -> str:
    """The processor in words."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def engine_to_score(trained: Trained, device: torch.device) -> Engine:
    """The engine that evaluates densities.

    What kernels trained they may score, where they are; torch agrees with them to rounding.
    """
    by_kernels = trained.engine in (NATIVE.name, TRITON.name)
    return choose_engine("auto" if by_kernels else "torch", trained.architecture, device)


def log_density(trained: Trained, row: int, density: Density, z: Tensor, given: Tensor) -> Array:
    """Natural logarithm of a density of a region at scaled stars, averaged over its snapshots.

    Parameters
    ----------
    row : int
        Of the region among those trained.
    z, given : Tensor of shapes (N, d) and (N, 1), float32
        Features and condition, on the device to compute on.

    Returns
    -------
    ndarray of shape (N,), float64
    """
    engine = engine_to_score(trained, z.device)
    stack = trained.members(row, density, engine.stack).to(z.device)
    log_prob: Array = stack.average_log_prob(z, given).cpu().numpy().astype(np.float64)
    return log_prob
