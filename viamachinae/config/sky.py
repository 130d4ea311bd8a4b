"""Where the patches are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from viamachinae.config.dust import MapConfig, NoEbv
from viamachinae.config.model import Model, Positive, default_tag


class Tiling(Model):
    """What every tiling has: how far stars are taken around a centre, and through how much dust."""

    radius_deg: Positive = Field(15.0, description="Patch radius for training (VM1).")
    evaluation_radius_deg: Positive = Field(
        10.0,
        le=45,
        description="Patch radius for evaluation; patches overlap if these discs do (VM1). Lines "
        "are looked for as if the disc were flat: 45 at most (ours).",
    )
    ebv: MapConfig = NoEbv()
    max_ebv: Positive | None = Field(
        None,
        description="Patches are left out where the 90th percentile of E(B-V) over the evaluation "
        "disc exceeds this, mag; needs a map in ebv (ours).",
    )

    def around(self, ra: float, dec: float) -> CentreTiling:
        """The tiling of one patch of this size, at an ICRS point (deg); it has no dust cut."""
        return CentreTiling(
            tiling="centres",
            centres=[(ra, dec)],
            radius_deg=self.radius_deg,
            evaluation_radius_deg=self.evaluation_radius_deg,
        )

    @model_validator(mode="after")
    def _evaluated_inside_trained(self) -> Tiling:
        if self.evaluation_radius_deg > self.radius_deg:
            raise ValueError(
                "evaluation_radius_deg must not exceed radius_deg: stars are scored only where "
                "the densities were learned"
            )
        return self

    @model_validator(mode="after")
    def _dust_cut_has_map_and_limit(self) -> Tiling:
        if (self.max_ebv is None) != (self.ebv.source == "none"):
            raise ValueError("max_ebv and the map in ebv make the dust cut together; give both")
        return self


class HealpixTiling(Tiling):
    """Patch centres on a Galactic HEALPix grid, away from the disc and the Magellanic Clouds."""

    tiling: Literal["healpix"] = "healpix"
    nside: int = Field(6, ge=1, description="HEALPix nside of the centres, RING order (VM1).")
    min_abs_b_deg: float = Field(
        30.0, ge=0, le=90, description="Centres with smaller abs(b) are left out (VM1)."
    )
    lmc_radius_deg: float = Field(
        22.0, ge=0, description="Centres nearer to the LMC are left out (ours, after VM2)."
    )
    smc_radius_deg: float = Field(
        19.0, ge=0, description="Centres nearer to the SMC are left out (ours, after VM2)."
    )
    patches: list[str] = Field(
        default_factory=list, description="Ids of the patches to scan; empty means all (ours)."
    )


class CentreTiling(Tiling):
    """Patch centres given one by one."""

    tiling: Literal["centres"]
    centres: list[tuple[float, float]] = Field(
        min_length=1, description="ICRS (ra, dec) of the patch centres in deg."
    )


SkyConfig = Annotated[
    HealpixTiling | CentreTiling,
    Field(discriminator="tiling"),
    default_tag("tiling", "healpix"),
]
