"""Flows of the stars inside (sr) and outside (cr) each signal region."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from astropy.table import Table
from numpy.typing import NDArray

from viamachinae.config import FlowConfig, TrainConfig
from viamachinae.errors import BadInputError, UnprocessableError
from viamachinae.flows.architecture import Architecture
from viamachinae.flows.engines import Engine, choose_engine
from viamachinae.flows.lanes import FitOptions
from viamachinae.flows.progress import Progress
from viamachinae.flows.resume import Keeper
from viamachinae.flows.rows import Picked, Rows, Task
from viamachinae.flows.splines import RationalQuadratic
from viamachinae.flows.training import fit
from viamachinae.score.evaluation import choose_device
from viamachinae.score.history import Course, history_table
from viamachinae.score.patch_stars import PatchStars
from viamachinae.score.regions import SignalRegion
from viamachinae.score.trained import Density, Trained

Array = NDArray[np.float64]


def architecture_of(
    flow: FlowConfig, features: int, conditions: int = 1, section: str = "train.flow"
) -> Architecture:
    """The shape of the flows of so many features, given by default the one condition of a scan.

    `section` is the part of the configuration that messages name.

    Raises
    ------
    BadInputError
        If the options leave a spline no freedom.
    """
    hidden = tuple(flow.hidden)
    if flow.family == "maf":
        return Architecture(features, conditions, flow.blocks, hidden, flow.batch_norm)
    try:
        spline = RationalQuadratic(flow.bins, flow.bound)
    except ValueError as error:
        raise BadInputError(f"{section}: {error}") from error
    return Architecture(
        features,
        conditions,
        flow.blocks,
        hidden,
        family="rqs_autoregressive",
        spline=spline,
        affine_first=flow.affine_first,
    )


def fit_densities(
    stars: PatchStars,
    regions: Sequence[SignalRegion],
    densities: Sequence[Density],
    config: TrainConfig,
    on_step: Progress | None = None,
    keeper: Keeper | None = None,
) -> tuple[Trained, Table]:
    """Fit flows to the stars of every signal region, of every control region, or of both.

    Parameters
    ----------
    stars : PatchStars
    regions : sequence of SignalRegion
        Of the stars' scan, at least one.
    densities : sequence of D str
        Of ``sr`` and ``cr``, in this order; none where a method needs no flow.
    config : TrainConfig
    on_step : callable, optional
        Called about twice a second with the star updates done and those to do in all.
    keeper : Keeper, optional
        Keeps the state of the training now and then, and has it go on from there.

    Returns
    -------
    trained : Trained
    history : astropy.table.Table
        One row a region, density and epoch; see `history.history_table`.

    Raises
    ------
    UnprocessableError
        If a region is too small to hold stars out.
    BadInputError
        If CUDA or an engine is asked for and absent.
    """
    device = choose_device(config.device)
    architecture = architecture_of(config.flow, len(stars.features))
    engine = _engine(config, architecture, device)
    shape = len(regions), len(densities)
    tasks = _tasks(stars, regions, densities)
    trained = Trained.untrained(stars, regions, densities, architecture, engine.name)
    if not tasks:
        return trained, history_table([], [])
    fitted = fit(
        architecture,
        stars.split(device),
        tasks,
        fit_options(config),
        on_step,
        engine=engine,
        keeper=keeper,
    )
    trained = trained.with_flows(
        fitted.weights.view(*shape, *fitted.weights.shape[1:]),
        fitted.statistics.view(*shape, *fitted.statistics.shape[1:]),
        fitted.failed.reshape(shape),
    )
    kept, tested = stars.log_det[~stars.held_out], stars.log_det[stars.held_out]
    courses = [
        Course(
            regions[flow // shape[1]].lower,
            regions[flow // shape[1]].retraining,
            densities[flow % shape[1]],
            task.train.count(len(kept)),
            _mean(task.train, kept),
            _mean(task.held_out, tested),
        )
        for flow, task in enumerate(tasks)
    ]
    return trained, history_table(fitted.history, courses)


def _tasks(
    stars: PatchStars, regions: Sequence[SignalRegion], densities: Sequence[Density]
) -> list[Task]:
    """Signal and control region of each region, as rows of the sorted stars."""
    tasks = []
    kept, tested = stars.pm[~stars.held_out], stars.pm[stars.held_out]
    for region in regions:
        edges = [region.lower, region.upper]
        start, stop = np.searchsorted(kept, edges).tolist()
        first, last = np.searchsorted(tested, edges).tolist()
        for density in densities:
            outside = density == "cr"
            train, held_out = Rows(start, stop, outside), Rows(first, last, outside)
            if not train.count(len(kept)) or not held_out.count(len(tested)):
                raise UnprocessableError(
                    f"patch {stars.patch}: the region of {region.scan} from {region.lower:g} "
                    "mas/yr has too few stars to hold some out; raise regions.min_stars"
                )
            tasks.append(Task(train, held_out, stars.seed_of(region, density)))
    return tasks


def fit_options(config: TrainConfig) -> FitOptions:
    """How the flows of a scan are fitted."""
    return FitOptions(
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        max_gradient_norm=config.max_gradient_norm,
        schedule=config.schedule,
        batch_size=config.batch_size,
        epochs=config.epochs,
        average_last=config.average_last,
        stack_size=config.stack_size,
    )


def _engine(config: TrainConfig, architecture: Architecture, device: torch.device) -> Engine:
    try:
        return choose_engine(config.engine, architecture, device)
    except ValueError as error:
        raise BadInputError(f"train.{error}") from error


def _mean(rows: Rows | Picked, values: Array) -> float:
    return float(np.concatenate(list(rows.parts(values))).mean())


def lanes_of(config: TrainConfig, features: int) -> int:
    """How many flows of so many features train side by side on this machine.

    Raises
    ------
    BadInputError
        If CUDA or an engine is asked for and absent.
    """
    device = choose_device(config.device)
    engine = _engine(config, architecture_of(config.flow, features), device)
    return engine.lanes.width(fit_options(config), device)
