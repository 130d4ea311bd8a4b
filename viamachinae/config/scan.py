"""Everything that decides the result of a scan."""

from __future__ import annotations

from pydantic import Field

from viamachinae.config.inspect import InspectConfig
from viamachinae.config.link import LinkConfig
from viamachinae.config.model import Model
from viamachinae.config.nulls import NullsConfig
from viamachinae.config.preprocess import PreprocessConfig
from viamachinae.config.query import QueryConfig, SimulateQuery
from viamachinae.config.regions import RegionsConfig
from viamachinae.config.score import AnodeConfig, ScoreConfig
from viamachinae.config.sky import HealpixTiling, SkyConfig
from viamachinae.config.train import TrainConfig
from viamachinae.config.validate import ValidationConfig


class ScanConfig(Model):
    """Everything that decides the result of a scan."""

    name: str = Field("scan", pattern=r"^[A-Za-z0-9_.+-]+$", description="Name of the run (ours).")
    seed: int = Field(0, ge=0, description="The one seed of all randomness (ours).")
    sky: SkyConfig = HealpixTiling()
    query: QueryConfig = SimulateQuery()
    preprocess: PreprocessConfig = PreprocessConfig()
    regions: RegionsConfig = RegionsConfig()
    train: TrainConfig = TrainConfig()
    score: ScoreConfig = AnodeConfig()
    link: LinkConfig = LinkConfig()
    nulls: NullsConfig = NullsConfig()
    inspect: InspectConfig = InspectConfig()
    validation: ValidationConfig = ValidationConfig()
