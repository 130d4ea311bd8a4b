"""Conditional density estimators for low-dimensional data, thousands at once."""

from viamachinae.flows.architecture import Architecture
from viamachinae.flows.checkpoint import load_checkpoint, save_checkpoint
from viamachinae.flows.engines import NATIVE, TORCH, TRITON, Engine, choose_engine
from viamachinae.flows.lanes import FitOptions
from viamachinae.flows.rows import Rows, Stars, Task
from viamachinae.flows.runs import EpochRecord
from viamachinae.flows.scaling import Scaling, Standardisation
from viamachinae.flows.splines import RationalQuadratic
from viamachinae.flows.stack import FlowStack
from viamachinae.flows.training import Fit, fit
from viamachinae.flows.variational import (
    Importance,
    VariationalOptions,
    distil,
    fit_to_density,
    importance,
)

__all__ = [
    "NATIVE",
    "TORCH",
    "TRITON",
    "Architecture",
    "Engine",
    "EpochRecord",
    "Fit",
    "FitOptions",
    "FlowStack",
    "Importance",
    "RationalQuadratic",
    "Rows",
    "Scaling",
    "Standardisation",
    "Stars",
    "Task",
    "VariationalOptions",
    "choose_engine",
    "distil",
    "fit",
    "fit_to_density",
    "importance",
    "load_checkpoint",
    "save_checkpoint",
]
