"""The configuration of a scan: one model per stage, one union per choice of method.

Every option states in its description where its default comes from: VM1, VM2 and VM3 are the
three Via Machinae papers (arXiv:2104.12789, 2303.01529, 2509.08064), ANODE is arXiv:2001.04990,
CATHODE arXiv:2109.00546; "ours" marks a choice of this package. An unknown option is an error.
"""

from viamachinae.config.dust import ColumnEbv, EbvConfig, HealpixEbv, MapConfig, NoEbv, SfdEbv
from viamachinae.config.galaxy import GalaxyConfig, Gap, GreatCircleTrack, OrbitTrack, StreamConfig
from viamachinae.config.inspect import InspectConfig
from viamachinae.config.link import (
    CandidateConfig,
    ClumpConfig,
    CrossmatchConfig,
    LineConfig,
    LinkConfig,
    OrbitConfig,
    ProtoclusterConfig,
    ProtostreamConfig,
    RidgeConfig,
    RoiConfig,
)
from viamachinae.config.model import Model
from viamachinae.config.nulls import CellConfig, NullKind, NullsConfig
from viamachinae.config.preprocess import Feature, FiducialCuts, MaskConfig, PreprocessConfig
from viamachinae.config.query import (
    ArchiveQuery,
    DownloadCuts,
    FilesQuery,
    LakeQuery,
    QueryConfig,
    SimulateQuery,
)
from viamachinae.config.regions import RegionsConfig, Scan
from viamachinae.config.scan import ScanConfig
from viamachinae.config.score import (
    AnodeConfig,
    CathodeConfig,
    ClassifierConfig,
    CwolaConfig,
    RAnodeConfig,
    ScoreConfig,
)
from viamachinae.config.sky import CentreTiling, HealpixTiling, SkyConfig
from viamachinae.config.train import (
    PRESETS,
    UNDECIDING,
    FlowConfig,
    HealthConfig,
    MafConfig,
    RqsConfig,
    TrainConfig,
)
from viamachinae.config.validate import (
    BaselinesConfig,
    ChallengeConfig,
    FoundConfig,
    HoughFinderConfig,
    InjectedStreams,
    MatchedFilterConfig,
    ValidationConfig,
)

__all__ = [
    "PRESETS",
    "UNDECIDING",
    "AnodeConfig",
    "ArchiveQuery",
    "BaselinesConfig",
    "CandidateConfig",
    "CathodeConfig",
    "CellConfig",
    "CentreTiling",
    "ChallengeConfig",
    "ClassifierConfig",
    "ClumpConfig",
    "ColumnEbv",
    "CrossmatchConfig",
    "CwolaConfig",
    "DownloadCuts",
    "EbvConfig",
    "Feature",
    "FiducialCuts",
    "FilesQuery",
    "FlowConfig",
    "FoundConfig",
    "GalaxyConfig",
    "Gap",
    "GreatCircleTrack",
    "HealpixEbv",
    "HealpixTiling",
    "HealthConfig",
    "HoughFinderConfig",
    "InjectedStreams",
    "InspectConfig",
    "LakeQuery",
    "LineConfig",
    "LinkConfig",
    "MafConfig",
    "MapConfig",
    "MaskConfig",
    "MatchedFilterConfig",
    "Model",
    "NoEbv",
    "NullKind",
    "NullsConfig",
    "OrbitConfig",
    "OrbitTrack",
    "PreprocessConfig",
    "ProtoclusterConfig",
    "ProtostreamConfig",
    "QueryConfig",
    "RAnodeConfig",
    "RegionsConfig",
    "RidgeConfig",
    "RoiConfig",
    "RqsConfig",
    "Scan",
    "ScanConfig",
    "ScoreConfig",
    "SfdEbv",
    "SimulateQuery",
    "SkyConfig",
    "StreamConfig",
    "TrainConfig",
    "ValidationConfig",
]
