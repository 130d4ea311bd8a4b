"""The stages of a patch: what decides the results of each."""

from __future__ import annotations

from typing import Any

from viamachinae.config import UNDECIDING, ScanConfig
from viamachinae.pipeline.stage import Stage

# Parts of the configuration of link that only candidates depend on.
ABOVE_PATCHES = {"candidates", "crossmatch", "ridge", "orbits"}


def single_trainings(config: ScanConfig) -> range:
    """Numbers of the trainings that are linked alone too; none where there is but one."""
    return range(config.train.retrainings if config.train.retrainings > 1 else 0)


def _training_options(config: ScanConfig) -> list[Any]:
    return [
        config.train.model_dump(mode="json", exclude=UNDECIDING),
        config.score.model_dump(mode="json"),
        config.preprocess.features,
        config.seed,
        config.regions.model_dump(mode="json", exclude={"scans"}),
    ]


PREPROCESS = Stage(
    "preprocess",
    (
        *("sky", "dust", "catalog", "query", "preprocess", "simulate", "score/seeds"),
        *("validate/shuffle", "validate/shuffled_sky", "pipeline/sources"),
        "pipeline/tasks/preprocess",
    ),
    lambda config: [config.sky.model_dump(mode="json"), config.preprocess.model_dump(mode="json")],
)
TRAIN = Stage(
    "train", ("flows", "score", "pipeline/tasks/train"), _training_options, on_device=True
)
SCORE = Stage(
    "score",
    ("flows", "score", "pipeline/tasks/score"),
    lambda config: config.score.model_dump(mode="json"),
    on_device=True,
)
LINES = Stage(
    "lines",
    (
        *("link", "sky", "dust", "catalog", "inspect/comparison", "score/features", "score/seeds"),
        "pipeline/tasks/lines",
    ),
    lambda config: [
        config.link.model_dump(mode="json", exclude=ABOVE_PATCHES),
        config.sky.evaluation_radius_deg,
        config.regions.scans,
    ],
)
