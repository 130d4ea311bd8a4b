"""Everything that scoring needs of the flows of one patch and scan, in memory and on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from viamachinae.errors import BadInputError
from viamachinae.flows.architecture import Architecture
from viamachinae.flows.checkpoint import load_checkpoint, save_checkpoint
from viamachinae.flows.engines import TORCH
from viamachinae.flows.scaling import Scaling, Standardisation
from viamachinae.flows.stack import FlowStack
from viamachinae.score.regions import SignalRegion

Array = NDArray[np.float64]
Density = Literal["sr", "cr"]
DENSITIES: tuple[Density, ...] = get_args(Density)


@dataclass(frozen=True)
class TrainedFlows:
    """Two flows for each signal region: one of its stars (sr), one of all others (cr).

    Attributes
    ----------
    regions : list of R SignalRegion
    features : list of d str
        Names of the features, in order.
    architecture : Architecture
    scaling, condition_scaling : Scaling, Standardisation
        From natural units to those of the flows; common to all regions.
    weights : Tensor of shape (R, 2, A, P), float32
        A snapshots of each flow, whose densities are averaged; NaN where a flow failed.
    statistics : Tensor of shape (R, 2, A, S), float32
        Their running statistics.
    failed : ndarray of shape (R, 2), bool
        Flows without a finite likelihood.
    engine : str
        Name of the flow engine that trained them.
    """

    regions: list[SignalRegion]
    features: list[str]
    architecture: Architecture
    scaling: Scaling
    condition_scaling: Standardisation
    weights: Tensor
    statistics: Tensor
    failed: NDArray[np.bool_]
    engine: str = TORCH.name

    def failed_regions(self) -> list[SignalRegion]:
        """Regions that cannot be scored because one of their flows failed."""
        return [self.regions[row] for row in np.flatnonzero(self.failed.any(axis=1))]

    def scale(self, x: Array, condition: Array) -> tuple[Array, Array, Array]:
        """Features and condition in the units of the flows, and the log-Jacobian of the features.

        A star outside the box of the features, or with one missing, has a log-Jacobian of -inf
        whatever its condition.

        Raises
        ------
        BadInputError
            If the condition of another star is outside the range of training.
        """
        z, log_det = self.scaling.forward(x)
        known = np.isfinite(log_det)[:, None]
        try:
            scaled = self.condition_scaling.forward(
                np.where(known, condition, self.condition_scaling.mean)
            )
        except ValueError as error:
            raise BadInputError(f"stars to score: {error}; score those trained on") from error
        return z, scaled, log_det

    def members(
        self, region: int, density: Density, kind: type[FlowStack] = FlowStack
    ) -> FlowStack:
        """The snapshots of one density, as a stack (of an engine's kind) in evaluation mode."""
        flow = region, DENSITIES.index(density)
        return kind(self.architecture, self.weights[flow], self.statistics[flow]).eval()


def save_flows(path: Path, trained: TrainedFlows) -> None:
    """Write trained flows as safetensors with a JSON header."""
    header = {
        "regions": [asdict(region) for region in trained.regions],
        "features": list(trained.features),
        "architecture": trained.architecture.to_dict(),
        "scaling": trained.scaling.to_dict(),
        "condition_scaling": trained.condition_scaling.to_dict(),
        "failed": trained.failed.tolist(),
        "engine": trained.engine,
    }
    save_checkpoint(path, {"weights": trained.weights, "statistics": trained.statistics}, header)


def load_flows(path: Path, features: Sequence[str] | None = None) -> TrainedFlows:
    """Read what `save_flows` wrote.

    Parameters
    ----------
    path : Path
    features : sequence of str, optional
        The features that the caller is going to score with.

    Raises
    ------
    BadInputError
        If the file is damaged, of another version, or made for other features.
    """
    try:
        tensors, header = load_checkpoint(path)
    except ValueError as error:
        raise BadInputError(f"{error}; train again") from error
    if features is not None and list(features) != header["features"]:
        raise BadInputError(
            f"{path} was trained on the features {', '.join(header['features'])}, not on "
            f"{', '.join(features)}; train again"
        )
    return TrainedFlows(
        [SignalRegion(**region) for region in header["regions"]],
        header["features"],
        Architecture.from_dict(header["architecture"]),
        Scaling.from_dict(header["scaling"]),
        Standardisation.from_dict(header["condition_scaling"]),
        tensors["weights"],
        tensors["statistics"],
        np.array(header["failed"], dtype=np.bool_).reshape(-1, len(DENSITIES)),
        header.get("engine", TORCH.name),
    )
