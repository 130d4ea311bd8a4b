"""How stars are scored."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from viamachinae.config.model import Model, Positive, Width, default_tag
from viamachinae.config.train import RqsConfig


class AnodeConfig(Model):
    """Score R = p_SR / p_CR from two density estimates (arXiv:2001.04990)."""

    method: Literal["anode"] = "anode"


class ClassifierConfig(Model):
    """Networks that tell the stars of a signal region from a reference, each blind to a fold."""

    hidden: list[Width] = Field(
        [64, 64, 64], min_length=1, description="Hidden units by layer (CATHODE; for cwola ours)."
    )
    learning_rate: Positive = Field(1e-3, description="Adam's step (CATHODE; for cwola ours).")
    batch_size: int = Field(128, ge=1, description="Points a step (CATHODE; for cwola ours).")
    epochs: int = Field(100, ge=1, description="Passes over the points (CATHODE; for cwola ours).")
    average_best: int = Field(
        10,
        ge=1,
        description="Probabilities of so many epochs, best by validation, are averaged "
        "(CATHODE; for cwola ours).",
    )
    folds: int = Field(
        5,
        ge=3,
        description="Parts of the stars: a network is trained on all but two, validated on one "
        "and scores the other (ours).",
    )

    @model_validator(mode="after")
    def _averages_epochs_that_exist(self) -> ClassifierConfig:
        if self.average_best > self.epochs:
            raise ValueError("average_best must not exceed epochs")
        return self


class CathodeConfig(Model):
    """Score R = s / (1 - s) of a classifier against samples of p_CR (arXiv:2109.00546)."""

    method: Literal["cathode"]
    oversampling: float = Field(
        4.0, gt=0, description="Samples of p_CR for each star of a signal region (CATHODE)."
    )
    classifier: ClassifierConfig = ClassifierConfig()


class CwolaConfig(Model):
    """Score R = s / (1 - s) of a classifier against the sidebands (arXiv:2305.03761)."""

    method: Literal["cwola"]
    sideband_masyr: Positive = Field(
        3.0, description="Width of the sideband on each side of a signal region, mas/yr (ours)."
    )
    classifier: ClassifierConfig = ClassifierConfig()


class RAnodeConfig(Model):
    """Score R = p_sig / p_CR with p_sig fitted to what p_CR leaves (arXiv:2312.11629)."""

    method: Literal["r_anode"]
    flow: Annotated[RqsConfig, default_tag("family", "rqs")] = RqsConfig(family="rqs")
    initial_share: float = Field(
        0.01, gt=0, lt=1, description="Share w of the signal before it is learned (ours)."
    )
    learning_rate: Positive = Field(1e-3, description="Adam's step (ours).")
    batch_size: int = Field(256, ge=1, description="Stars a step and flow (ours).")
    epochs: int = Field(50, ge=1, description="Passes over the stars of a signal region (ours).")
    average_best: int = Field(
        10,
        ge=1,
        description="Densities of so many epochs, best by held-out likelihood, are averaged "
        "(ours).",
    )

    @model_validator(mode="after")
    def _averages_epochs_that_exist(self) -> RAnodeConfig:
        if self.average_best > self.epochs:
            raise ValueError("average_best must not exceed epochs")
        return self


ScoreConfig = Annotated[
    AnodeConfig | CathodeConfig | RAnodeConfig | CwolaConfig,
    Field(discriminator="method"),
    default_tag("method", "anode"),
]
