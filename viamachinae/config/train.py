"""The flows and how they are fitted."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from viamachinae.config.model import Model, Positive, default_tag


class MafConfig(Model):
    """Conditional affine masked autoregressive flow (arXiv:1705.07057)."""

    family: Literal["maf"] = "maf"
    blocks: int = Field(15, ge=1, description="Number of MADE blocks (ANODE).")
    hidden: list[int] = Field([128], min_length=1, description="Hidden units by layer (ANODE).")
    batch_norm: bool = Field(True, description="Batch norm between the blocks (ANODE).")


class RqsConfig(Model):
    """Autoregressive flow of monotonic rational-quadratic splines (arXiv:1906.04032)."""

    family: Literal["rqs"]
    blocks: int = Field(3, ge=1, description="Number of blocks (ours).")
    hidden: list[int] = Field(
        [64, 64], min_length=1, description="Hidden units of each block by layer (ours)."
    )
    bins: int = Field(8, ge=2, description="Bins of a spline (ours; arXiv:1906.04032 uses 8).")
    bound: Positive = Field(
        5.0,
        description="A spline bends within this many standard deviations and is the identity "
        "outside (ours; arXiv:1906.04032 uses 3).",
    )
    affine_first: bool = Field(
        True, description="An affine map, by the same network, before each spline (ours)."
    )


FlowConfig = Annotated[
    MafConfig | RqsConfig,
    Field(discriminator="family"),
    default_tag("family", "maf"),
]


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "fast": {
        "flow": {"family": "rqs", "blocks": 2, "hidden": [64, 64]},
        "learning_rate": 6e-3,
        "schedule": "cosine",
        "batch_size": 512,
        "epochs": 12,
        "average_last": 1,
    },
    "demo": {
        "flow": {"blocks": 6, "hidden": [48], "batch_norm": False},
        "learning_rate": 5e-3,
        "batch_size": 256,
        "epochs": 12,
        "average_last": 6,
    },
}


class HealthConfig(Model):
    """How far held-out stars may be from what was learned of a signal region."""

    max_pit_distance: float = Field(
        0.2,
        gt=0,
        description="Largest Kolmogorov distance of a feature's probability integral transform "
        "from uniform, beyond chance (ours).",
    )
    max_outside: float = Field(
        0.1, gt=0, description="Largest share of stars outside the box of a spline (ours)."
    )
    max_median_log_ratio: float = Field(
        0.5,
        gt=0,
        description="Largest distance from zero of the median of ln R of a region's stars (ours).",
    )


class TrainConfig(Model):
    """Fitting all flows of a patch and scan as one stack."""

    preset: Literal["paper", "fast", "demo"] = Field(
        "paper",
        description="Fills the options not given: paper (ANODE), fast (splines, ours) or demo "
        "(small affine flows, ours).",
    )
    flow: FlowConfig = MafConfig()
    learning_rate: Positive = Field(1e-4, description="Adam's step (ANODE).")
    schedule: Literal["constant", "cosine"] = Field(
        "constant",
        description="The learning rate stays (ANODE) or falls to zero along half a cosine.",
    )
    weight_decay: float = Field(1e-6, ge=0, description="Adam's weight decay (ANODE).")
    max_gradient_norm: Positive = Field(
        1.0, description="A flow's gradient is shortened to this length (ours)."
    )
    batch_size: int = Field(256, ge=1, description="Stars a step and flow (ANODE).")
    epochs: int = Field(50, ge=1, description="Passes over each flow's stars (ANODE).")
    average_last: int = Field(
        10, ge=1, description="Densities of this many last epochs are averaged (ANODE)."
    )
    held_out: float = Field(
        0.1, gt=0, lt=1, description="Share of stars kept for the held-out likelihood (ours)."
    )
    stack_size: int = Field(
        64, ge=1, description="Flows trained at once; bounds memory, not results (ours)."
    )
    health: HealthConfig = HealthConfig()
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto takes CUDA where there is a device (ours)."
    )
    engine: Literal["auto", "torch", "native"] = Field(
        "auto",
        description="auto takes the compiled kernel where it was built and can do the work: "
        "on the CPU; results agree to rounding (ours).",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        preset = PRESETS.get(given.get("preset", "paper"), {})
        merged = {**preset, **given}
        if isinstance(given.get("flow"), dict):
            flow = preset.get("flow", {})
            # The preset says nothing about a family other than its own.
            same = given["flow"].get("family", flow.get("family", "maf")) == flow.get(
                "family", "maf"
            )
            merged["flow"] = {**(flow if same else {}), **given["flow"]}
        return merged

    @model_validator(mode="after")
    def _averages_epochs_that_exist(self) -> TrainConfig:
        if self.average_last > self.epochs:
            raise ValueError("average_last must not exceed epochs")
        return self
