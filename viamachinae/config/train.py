"""The flows and how they are fitted."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from viamachinae.config.model import Model, Positive, Width, default_tag


class MafConfig(Model):
    """Conditional affine masked autoregressive flow (arXiv:1705.07057)."""

    family: Literal["maf"]
    blocks: int = Field(15, ge=1, description="Number of MADE blocks (ANODE).")
    hidden: list[Width] = Field([128], min_length=1, description="Hidden units by layer (ANODE).")
    batch_norm: bool = Field(True, description="Batch norm between the blocks (ANODE).")


class RqsConfig(Model):
    """Autoregressive flow of monotonic rational-quadratic splines (arXiv:1906.04032)."""

    family: Literal["rqs"] = "rqs"
    blocks: int = Field(2, ge=1, description="Number of blocks (ours).")
    hidden: list[Width] = Field(
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
    default_tag("family", "rqs"),
]


# Where, by what engine and in how large stacks flows train does not decide what they become, nor
# does the name of the preset that gave the other options.
UNDECIDING = {"device", "engine", "stack_size", "preset", "checkpoint_seconds"}

# docs/which-flow.md measures the three.
PRESETS: dict[str, dict[str, Any]] = {
    "fast": {},
    "paper": {
        "flow": {"family": "maf"},
        "learning_rate": 1e-4,
        "schedule": "constant",
        "batch_size": 256,
        "epochs": 50,
        "average_last": 10,
        "retrainings": 1,
    },
    "demo": {
        "flow": {"family": "maf", "blocks": 6, "hidden": [48], "batch_norm": False},
        "learning_rate": 5e-3,
        "schedule": "constant",
        "batch_size": 256,
        "epochs": 12,
        "average_last": 6,
        "retrainings": 1,
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
        description="Largest distance from zero of the median of ln R of a region's stars, beyond "
        "chance (ours).",
    )


class TrainConfig(Model):
    """Fitting all flows of a patch and scan as one stack."""

    preset: Literal["fast", "paper", "demo"] = Field(
        "fast",
        description="Fills the options not given: fast (splines, ours), paper (ANODE) or demo "
        "(small affine flows, ours).",
    )
    flow: FlowConfig = RqsConfig()
    learning_rate: Positive = Field(6e-3, description="Adam's step (ours; ANODE uses 1e-4).")
    schedule: Literal["constant", "cosine"] = Field(
        "cosine",
        description="The learning rate falls to zero along half a cosine (ours), or stays (ANODE).",
    )
    weight_decay: float = Field(1e-6, ge=0, description="Adam's weight decay (ANODE).")
    max_gradient_norm: Positive = Field(
        1.0, description="A flow's gradient is shortened to this length (ours)."
    )
    batch_size: int = Field(512, ge=1, description="Stars a step and flow (ours; ANODE uses 256).")
    epochs: int = Field(
        24, ge=1, description="Passes over each flow's stars (ours; ANODE uses 50)."
    )
    average_last: int = Field(
        1,
        ge=1,
        description="Densities of this many last epochs are averaged (ours: with a rate that falls "
        "to zero the last is enough; ANODE averages 10).",
    )
    retrainings: int = Field(
        3,
        ge=1,
        description="Independent trainings of each signal region, of which scores are averaged and "
        "a candidate's consistency is taken (Porto & Shih 2025; that there are three is ours).",
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
    checkpoint_seconds: Positive = Field(
        300.0,
        description="A training that was stopped goes on from a state no older than this, or from "
        "where SIGTERM met it (ours).",
    )
    engine: Literal["auto", "torch", "native", "triton"] = Field(
        "auto",
        description="auto takes compiled kernels where they can do the work: native on the CPU, "
        "triton on CUDA; results agree to rounding (ours).",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        preset = PRESETS.get(given.get("preset", "fast"), {})
        merged = {**preset, **given}
        if isinstance(given.get("flow"), dict):
            flow = preset.get("flow", {})
            # The preset says nothing about a family other than its own.
            own = flow.get("family", "rqs")
            same = given["flow"].get("family", own) == own
            merged["flow"] = {**(flow if same else {}), **given["flow"]}
        return merged

    @model_validator(mode="after")
    def _averages_epochs_that_exist(self) -> TrainConfig:
        if self.average_last > self.epochs:
            raise ValueError("average_last must not exceed epochs")
        return self
