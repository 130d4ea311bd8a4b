"""The shape of a flow: which transforms, of which size, in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

from viamachinae.flows.bases import Base, Normal, Uniform
from viamachinae.flows.blocks import Autoregressive, Coupling, Inverted
from viamachinae.flows.mixing import LUMixing, Permutation, Reversal
from viamachinae.flows.networks import MLP, MaskedMLP
from viamachinae.flows.splines import RationalQuadratic
from viamachinae.flows.transforms import BatchNorm, Transform
from viamachinae.flows.univariate import Affine, Chain, Univariate

Family = Literal["maf", "iaf", "affine_coupling", "rqs_autoregressive", "rqs_coupling"]
Mixing = Literal["reversal", "permutation", "lu"]


@dataclass(frozen=True)
class Architecture:
    """The shape that all flows of a stack share.

    Attributes
    ----------
    features, conditions : int
        Numbers of features (d, 2 or more) and of conditions (m, 0 or more).
    blocks : int
        Number of blocks, each with a network of its own.
    hidden : tuple of int
        Hidden units of each network, layer by layer.
    batch_norm : bool
        Whether a batch norm follows each block.
    family : str
        ``maf``, the masked autoregressive flow (arXiv:1705.07057), one pass from data to
        latent space; ``iaf``, the inverse one (arXiv:1606.04934), one pass back;
        ``affine_coupling`` (arXiv:1605.08803), one pass both ways; ``rqs_autoregressive`` and
        ``rqs_coupling``, with rational-quadratic splines in place of affine maps
        (arXiv:1906.04032).
    spline : RationalQuadratic, optional
        Of the families with splines; absent in others.
    affine_first : bool
        Whether an affine map, steered by the same network, comes before each spline.
    mixing : str
        What stands between blocks: ``reversal`` of the features, a fixed ``permutation``, or
        ``lu``, a reversal and a learned linear map.
    base : str
        ``normal``, or ``uniform`` within the bound of the splines, whose density is zero
        outside that box.

    Raises
    ------
    ValueError
        If the options do not fit together.
    """

    features: int
    conditions: int
    blocks: int
    hidden: tuple[int, ...]
    batch_norm: bool = False
    family: Family = "maf"
    spline: RationalQuadratic | None = None
    affine_first: bool = False
    mixing: Mixing = "reversal"
    base: Literal["normal", "uniform"] = "normal"

    def __post_init__(self) -> None:
        if self.features < 2 or self.conditions < 0 or self.blocks < 1 or not self.hidden:
            raise ValueError(
                "a flow needs at least two features, one block and one hidden layer, "
                f"not {self.features} features, {self.blocks} blocks, hidden {self.hidden}"
            )
        if self.family not in get_args(Family) or self.mixing not in get_args(Mixing):
            raise ValueError(f"there is no family {self.family} with mixing {self.mixing}")
        if self._splined and self.spline is None:
            object.__setattr__(self, "spline", RationalQuadratic())
        if not self._splined and (self.spline is not None or self.affine_first):
            raise ValueError(f"the family {self.family} has no spline")
        moves = self.batch_norm or self.affine_first or self.mixing == "lu"
        if self.base == "uniform" and (moves or not self._splined):
            raise ValueError(
                "a uniform base needs splines alone: batch norm, affine maps and lu mixing "
                "would move points out of its box"
            )

    def transforms(self) -> list[Transform]:
        """The transforms from data to latent space, in order."""
        transforms: list[Transform] = []
        for block in range(self.blocks):
            if block:
                transforms += self._between(block)
            transforms.append(self._block())
            if self.batch_norm:
                transforms.append(BatchNorm(self.features))
        return transforms

    def latent(self) -> Base:
        """The density of latent space."""
        return Uniform(self.spline.bound) if self.base == "uniform" and self.spline else Normal()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        spline = given.get("spline")
        return cls(
            **{
                **given,
                "hidden": tuple(given["hidden"]),
                "spline": spline and RationalQuadratic(**spline),
            }
        )

    @property
    def _splined(self) -> bool:
        return self.family.startswith("rqs")

    def _block(self) -> Transform:
        univariate: Univariate = self.spline or Affine()
        if self.affine_first:
            univariate = Chain(Affine(), univariate)
        if self.family.endswith("coupling"):
            passed = self.features // 2
            outputs = (self.features - passed) * univariate.parameters
            return Coupling(passed, MLP(passed + self.conditions, self.hidden, outputs), univariate)
        network = MaskedMLP(self.features, self.conditions, self.hidden, univariate.parameters)
        block = Autoregressive(network, univariate)
        return Inverted(block) if self.family == "iaf" else block

    def _between(self, block: int) -> list[Transform]:
        if self.mixing == "permutation":
            return [Permutation.fixed(self.features, block)]
        linear = [LUMixing(self.features)] if self.mixing == "lu" else []
        return [Reversal(), *linear]
