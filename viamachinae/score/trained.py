"""What training leaves behind: flows and classifiers with their scaling, saved and read back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from viamachinae.errors import BadInputError
from viamachinae.flows.architecture import Architecture
from viamachinae.flows.checkpoint import load_checkpoint, load_header, save_checkpoint
from viamachinae.flows.engines import TORCH
from viamachinae.flows.scaling import Scaling, Standardisation
from viamachinae.flows.stack import FlowStack
from viamachinae.score.classifier import Classifiers
from viamachinae.score.conditions import ConditionDensity
from viamachinae.score.patch_stars import PatchStars
from viamachinae.score.regions import SignalRegion
from viamachinae.score.residual import SignalFlows

Array = NDArray[np.float64]
Density = Literal["sr", "cr"]
DENSITIES: tuple[Density, ...] = get_args(Density)
Method = Literal["anode", "cathode", "r_anode", "cwola"]


@dataclass(frozen=True)
class Trained:
    """What a method learned of each signal region.

    Attributes
    ----------
    regions : list of R SignalRegion
        One a training of a region.
    features : list of d str
        Names of the features, in order.
    architecture : Architecture
        Of the flows.
    scaling, condition_scaling : Scaling, Standardisation
        From natural units to those of the flows; common to all regions.
    densities : tuple of D str
        Which flows a region has: of its stars (sr), of all others (cr).
    weights : Tensor of shape (R, D, A, P), float32
        A snapshots of each flow, whose densities are averaged; NaN where a flow failed.
    statistics : Tensor of shape (R, D, A, S), float32
        Their running statistics.
    failed : ndarray of shape (R, D), bool
        Flows without a finite likelihood.
    engine : str
        Name of the flow engine that trained them.
    method : str
        The score that they are for.
    learned : Classifiers, SignalFlows or None
        What the method learned beyond the flows.
    refused : frozenset of int
        Rows of `regions` whose held-out stars do not bear out what was learned.
    """

    regions: list[SignalRegion]
    features: list[str]
    architecture: Architecture
    scaling: Scaling
    condition_scaling: Standardisation
    densities: tuple[Density, ...]
    weights: Tensor
    statistics: Tensor
    failed: NDArray[np.bool_]
    engine: str = TORCH.name
    method: Method = "anode"
    learned: Classifiers | SignalFlows | None = None
    refused: frozenset[int] = frozenset()

    @classmethod
    def untrained(
        cls,
        stars: PatchStars,
        regions: Sequence[SignalRegion],
        densities: Sequence[Density],
        architecture: Architecture,
        engine: str,
    ) -> Self:
        """Before any flow is fitted, or where a method needs none."""
        shape = len(regions), len(densities)
        return cls(
            list(regions),
            stars.features,
            architecture,
            stars.scaling,
            stars.condition_scaling,
            tuple(densities),
            torch.empty(*shape, 0, 0),
            torch.empty(*shape, 0, 0),
            np.zeros(shape, dtype=np.bool_),
            engine,
        )

    def with_flows(self, weights: Tensor, statistics: Tensor, failed: NDArray[np.bool_]) -> Self:
        """With the fitted flows, of the shapes above."""
        return replace(self, weights=weights, statistics=statistics, failed=failed)

    @property
    def retrainings(self) -> int:
        """How often each region was trained."""
        return 1 + max(region.retraining for region in self.regions)

    def failed_rows(self) -> NDArray[np.bool_]:
        """Which of the R trainings cannot be scored with, shape (R,)."""
        failed = np.isin(np.arange(len(self.regions)), list(self.refused))
        failed |= self.failed.any(axis=1)
        return failed if self.learned is None else failed | self.learned.failed

    def failed_regions(self) -> list[SignalRegion]:
        """Regions that cannot be scored because something failed in all their trainings."""
        good = {self.regions[row].lower for row in np.flatnonzero(~self.failed_rows())}
        return [one for one in self.regions if one.retraining == 0 and one.lower not in good]

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
        flow = region, self.densities.index(density)
        return kind(self.architecture, self.weights[flow], self.statistics[flow]).eval()


def save_flows(path: Path, trained: Trained) -> None:
    """Write what was trained as safetensors with a JSON header."""
    tensors, learned = _tensors_of(trained.learned)
    header = {
        "regions": [asdict(region) for region in trained.regions],
        "features": list(trained.features),
        "architecture": trained.architecture.to_dict(),
        "scaling": trained.scaling.to_dict(),
        "condition_scaling": trained.condition_scaling.to_dict(),
        "densities": list(trained.densities),
        "failed": trained.failed.tolist(),
        "engine": trained.engine,
        "method": trained.method,
        "learned": learned,
        "refused": sorted(trained.refused),
    }
    flows = {"weights": trained.weights, "statistics": trained.statistics}
    save_checkpoint(path, {**flows, **tensors}, header)


def load_flows(path: Path, features: Sequence[str] | None = None) -> Trained:
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
    densities = tuple(header["densities"])
    return Trained(
        [SignalRegion(**region) for region in header["regions"]],
        header["features"],
        Architecture.from_dict(header["architecture"]),
        Scaling.from_dict(header["scaling"]),
        Standardisation.from_dict(header["condition_scaling"]),
        densities,
        tensors["weights"],
        tensors["statistics"],
        np.array(header["failed"], dtype=np.bool_).reshape(len(header["regions"]), len(densities)),
        header["engine"],
        header["method"],
        _learned_from(tensors, header["learned"]),
        frozenset(header["refused"]),
    )


def engine_of(path: Path) -> str:
    """Name of the engine that trained the flows of a file of `save_flows`.

    Raises
    ------
    ValueError
        If the file is damaged or of another version.
    """
    return str(load_header(path)["engine"])


def _tensors_of(
    learned: Classifiers | SignalFlows | None,
) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    """What a method learned, as named tensors and plain values."""
    if learned is None:
        return {}, None
    failed = {"failed": learned.failed.tolist()}
    if isinstance(learned, Classifiers):
        return {"classifiers": learned.weights}, {**failed, "hidden": list(learned.hidden)}
    tensors = {
        "signal_weights": learned.weights,
        "signal_statistics": learned.statistics,
        "signal_share": learned.share,
        "condition_share": torch.from_numpy(np.stack([c.share for c in learned.conditions])),
    }
    ranges = [[c.lower, c.upper] for c in learned.conditions]
    return tensors, {
        **failed,
        "architecture": learned.architecture.to_dict(),
        "condition_range": ranges,
    }


def _learned_from(
    tensors: dict[str, Tensor], header: dict[str, Any] | None
) -> Classifiers | SignalFlows | None:
    if header is None:
        return None
    failed = np.array(header["failed"], dtype=np.bool_)
    if "hidden" in header:
        return Classifiers(tuple(header["hidden"]), tensors["classifiers"], failed)
    ranges, shares = header["condition_range"], tensors["condition_share"]
    conditions = [
        ConditionDensity(lower, upper, share.numpy())
        for (lower, upper), share in zip(ranges, shares, strict=True)
    ]
    return SignalFlows(
        Architecture.from_dict(header["architecture"]),
        tensors["signal_weights"],
        tensors["signal_statistics"],
        tensors["signal_share"],
        conditions,
        failed,
    )
