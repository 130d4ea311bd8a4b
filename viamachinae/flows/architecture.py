"""The shape of a flow: which transforms, of which size, in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from viamachinae.flows.networks import MaskedMLP
from viamachinae.flows.transforms import AffineAutoregressive, BatchNorm, Reversal, Transform


@dataclass(frozen=True)
class Architecture:
    """The shape that all flows of a stack share.

    Attributes
    ----------
    features, conditions : int
        Numbers of features (d, 2 or more) and of conditions (m, 0 or more).
    blocks : int
        Number of MADE blocks.
    hidden : tuple of int
        Hidden units of each block, layer by layer.
    batch_norm : bool
        Whether a batch norm follows each block.
    family : str
        ``maf``, the conditional masked autoregressive flow (arXiv:1705.07057).
    """

    features: int
    conditions: int
    blocks: int
    hidden: tuple[int, ...]
    batch_norm: bool = False
    family: Literal["maf"] = "maf"

    def __post_init__(self) -> None:
        if self.features < 2 or self.conditions < 0 or self.blocks < 1 or not self.hidden:
            raise ValueError(
                "a flow needs at least two features, one block and one hidden layer, "
                f"not {self.features} features, {self.blocks} blocks, hidden {self.hidden}"
            )

    def transforms(self) -> list[Transform]:
        """The transforms from data to latent space, in order."""
        transforms: list[Transform] = []
        for block in range(self.blocks):
            if block:
                transforms.append(Reversal())
            network = MaskedMLP(self.features, self.conditions, self.hidden, outputs=2)
            transforms.append(AffineAutoregressive(network))
            if self.batch_norm:
                transforms.append(BatchNorm(self.features))
        return transforms

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        return cls(**{**given, "hidden": tuple(given["hidden"])})
