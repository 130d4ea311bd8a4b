"""The signal regions."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from viamachinae.config.model import Model, Positive, Range

Scan = Literal["pm_lam", "pm_phi"]


class RegionsConfig(Model):
    """The signal regions that slide over a patch."""

    scans: list[Scan] = Field(
        ["pm_lam", "pm_phi"],
        min_length=1,
        description="Proper motions that are scanned (VM1 one, VM2 both).",
    )
    width_masyr: Positive = Field(6.0, description="Width of a signal region, mas/yr (VM1).")
    stride_masyr: Positive = Field(1.0, description="Step between lower edges, mas/yr (VM1).")
    range_masyr: Range | None = Field(
        None, description="Only regions within this range of proper motion, mas/yr (ours)."
    )
    min_stars: int = Field(20_000, ge=1, description="Fewest stars in a signal region (ours).")
    max_stars: int = Field(1_000_000, ge=1, description="Most stars in a signal region (ours).")

    @model_validator(mode="after")
    def _regions_can_be(self) -> RegionsConfig:
        if len(set(self.scans)) != len(self.scans):
            raise ValueError("scans holds a proper motion twice; name each once")
        if self.min_stars > self.max_stars:
            raise ValueError("min_stars must not exceed max_stars: no region would be searched")
        if self.range_masyr and self.range_masyr[1] - self.range_masyr[0] < self.width_masyr:
            raise ValueError("range_masyr must be as wide as a region, width_masyr, at least")
        return self
