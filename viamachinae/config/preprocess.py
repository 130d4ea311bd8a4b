"""From catalogue columns to the features of the flows, and which stars are evaluated."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from viamachinae.config.dust import EbvConfig, NoEbv
from viamachinae.config.model import Model, Positive, check_colours

Feature = Literal["phi", "lam", "pm", "colour", "mag"]


class FiducialCuts(Model):
    """Which stars are evaluated; a cut set to null is off."""

    max_mag: float | None = Field(20.2, description="Faintest G, mag (VM1).")
    min_colour: float | None = Field(0.5, description="Bluest bp_rp, mag (VM1).")
    max_colour: float | None = Field(1.0, description="Reddest bp_rp, mag (VM1).")
    min_abs_pm: float | None = Field(
        2.0,
        ge=0,
        description="At least one proper-motion component exceeds this, mas/yr (VM1).",
    )
    min_height_kpc: float | None = Field(
        2.0,
        ge=0,
        description="Stars with good parallaxes nearer to the plane than this are left out (VM2).",
    )
    max_parallax_fraction: Positive = Field(
        0.2, description="A parallax is good below this ratio of error to value (VM2)."
    )
    max_ruwe: float | None = Field(1.4, gt=0, description="Largest RUWE, DR3 on (VM2).")

    @model_validator(mode="after")
    def _colours_in_order(self) -> FiducialCuts:
        check_colours(self.min_colour, self.max_colour)
        return self


class MaskConfig(Model):
    """What becomes of stars at known objects of one kind."""

    objects: Literal["cluster", "dwarf", "cloud", "stream"] = Field(
        description="Kind of the objects: globular clusters, dwarf galaxies, Magellanic Clouds, "
        "known streams."
    )
    names: list[str] = Field(
        default_factory=list, description="Only the objects of these names; empty means all (ours)."
    )
    mode: Literal["mask", "label"] = Field(
        "mask",
        description="mask takes the stars out of training and evaluation, label keeps them and "
        "names the object in the column `known` (ours).",
    )
    by: Literal["position", "position_pm"] = Field(
        "position",
        description="position_pm takes only stars that move as the object does, and passes over "
        "objects without proper motion (ours).",
    )
    sizes: Positive = Field(
        3.0, description="Reach in half-light radii, or in widths beside a stream's track (ours)."
    )
    min_radius_deg: Positive = Field(
        0.5, description="Least reach, and reach where no size is known, as of clusters (ours)."
    )
    max_radius_deg: Positive = Field(5.0, description="Greatest reach (ours).")
    pm_radius_masyr: Positive = Field(
        1.5, description="Greatest difference from the object's proper motion, mas/yr (ours)."
    )

    @model_validator(mode="after")
    def _radii_in_order(self) -> MaskConfig:
        if self.min_radius_deg > self.max_radius_deg:
            raise ValueError("min_radius_deg must not exceed max_radius_deg")
        return self


class PreprocessConfig(Model):
    """From catalogue columns to the features of the flows."""

    features: list[Feature] = Field(
        ["phi", "lam", "pm", "colour", "mag"],
        min_length=2,
        description="Features of the densities; pm is the proper motion not scanned (VM1).",
    )
    colour_column: str = Field("bp_rp", description="Column that is the colour (VM1).")
    mag_column: str = Field("phot_g_mean_mag", description="Column that is the magnitude (VM1).")
    ebv: EbvConfig = NoEbv()
    extinction_law: Literal["release", "gaia_dr2", "gaia_dr3"] = Field(
        "release",
        description="Extinction in G, BP and RP; release takes the law of query.release (ours).",
    )
    masks: list[MaskConfig] = Field(
        default_factory=list,
        description="Known objects to mask or label, at most one entry a kind; none (ours).",
    )
    fiducial: FiducialCuts = FiducialCuts()

    @property
    def dereddens(self) -> bool:
        """Whether colour and magnitude are freed of extinction."""
        return self.ebv.source != "none"

    @model_validator(mode="after")
    def _nothing_twice(self) -> PreprocessConfig:
        if len(set(self.features)) != len(self.features):
            raise ValueError("features holds a name twice; name each feature once")
        if len({mask.objects for mask in self.masks}) != len(self.masks):
            raise ValueError("masks holds a kind of objects twice; name each kind once")
        return self

    @model_validator(mode="after")
    def _dereddens_gaia_bands_alone(self) -> PreprocessConfig:
        own = (self.colour_column, self.mag_column)
        if self.dereddens and own != ("bp_rp", "phot_g_mean_mag"):
            raise ValueError(
                "ebv needs colour_column bp_rp and mag_column phot_g_mean_mag, for the extinction "
                "laws are those of Gaia's bands; set ebv to {source: none} for photometry that "
                "is corrected already"
            )
        return self
