"""ANODE: the ratio of two learned densities ranks stars (Nachman & Shih 2020, 2001.04990).

In each signal region, one flow learns p(x | condition) from the region's stars and another
from all others, whose density it carries into the region by its condition. A stream is in
the first and not in the second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import astropy.units as u
import numpy as np
import torch
from astropy.table import Table
from numpy.typing import NDArray

from viamachinae.config import FlowConfig, TrainConfig
from viamachinae.errors import BadInputError, UnprocessableError
from viamachinae.flows.architecture import Architecture
from viamachinae.flows.engines import NATIVE, Engine, choose_engine
from viamachinae.flows.lanes import FitOptions
from viamachinae.flows.resume import Keeper
from viamachinae.flows.rows import Rows, Stars, Task
from viamachinae.flows.scaling import Scaling, Standardisation
from viamachinae.flows.splines import RationalQuadratic
from viamachinae.flows.training import fit
from viamachinae.score.history import history_table
from viamachinae.score.regions import SignalRegion
from viamachinae.score.seeds import seed_sequence
from viamachinae.score.trained import DENSITIES, TrainedFlows

Array = NDArray[np.float64]
Device = Literal["auto", "cpu", "cuda"]


def choose_device(device: Device) -> torch.device:
    """The device to compute on: ``auto`` is CUDA where there is a device, else the CPU.

    Raises
    ------
    BadInputError
        If CUDA is asked for and absent.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise BadInputError(
            "train.device is cuda, but torch finds no CUDA device here; use auto or cpu"
        )
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


def architecture_of(flow: FlowConfig, features: int) -> Architecture:
    """The shape of the flows of so many features, given the one condition of a scan.

    Raises
    ------
    BadInputError
        If the options leave a spline no freedom.
    """
    hidden = tuple(flow.hidden)
    if flow.family == "maf":
        return Architecture(features, 1, flow.blocks, hidden, flow.batch_norm)
    try:
        spline = RationalQuadratic(flow.bins, flow.bound)
    except ValueError as error:
        raise BadInputError(f"train.flow: {error}") from error
    return Architecture(
        features,
        1,
        flow.blocks,
        hidden,
        family="rqs_autoregressive",
        spline=spline,
        affine_first=flow.affine_first,
    )


def train(
    x: Array,
    condition: Array,
    regions: Sequence[SignalRegion],
    config: TrainConfig,
    *,
    seed: int,
    patch: str,
    features: Sequence[str],
    on_step: Callable[[int, int], None] | None = None,
    keeper: Keeper | None = None,
) -> tuple[TrainedFlows, Table]:
    """Fit the two flows of every signal region of one patch and scan.

    Parameters
    ----------
    x : ndarray of shape (N, d), float64
        Features of all stars of the patch, natural units, finite.
    condition : ndarray of shape (N, 1), float64
        The scanned proper motion, mas/yr, finite.
    regions : sequence of SignalRegion
        Of one scan, at least one.
    config : TrainConfig
    seed, patch : int, str
        With scan and region they decide all randomness.
    features : sequence of d str
        Names of the features, for messages and the file.
    on_step : callable, optional
        Called about twice a second with the star updates done and those to do in all.
    keeper : Keeper, optional
        Keeps the state of the training now and then, and has it go on from there.

    Returns
    -------
    trained : TrainedFlows
    history : astropy.table.Table
        One row a region, density and epoch; see `history.history_table`.

    Raises
    ------
    UnprocessableError
        If a feature is constant or not finite, or a region is too small to hold stars out.
    BadInputError
        If CUDA or the native engine is asked for and absent.
    """
    device = choose_device(config.device)
    architecture = architecture_of(config.flow, x.shape[1])
    engine = _engine(config, architecture, device)
    scan = regions[0].scan
    order = np.argsort(condition[:, 0], kind="stable")
    x, condition = x[order], condition[order]
    try:
        scaling = Scaling.fit(x, features)
        condition_scaling = Standardisation.fit(condition, [scan])
    except ValueError as error:
        raise UnprocessableError(f"patch {patch}: {error}") from error
    z, log_det = scaling.forward(x)
    scaled = np.hstack([z, condition_scaling.forward(condition)]).astype(np.float32)
    draw = np.random.default_rng(seed_sequence(seed, patch, scan, "held out"))
    held_out = draw.random(len(x)) < config.held_out
    tasks = _tasks(condition[:, 0], held_out, regions, seed, patch)
    stars = Stars(
        torch.from_numpy(scaled[~held_out]).to(device),
        torch.from_numpy(scaled[held_out]).to(device),
    )
    fitted = fit(
        architecture, stars, tasks, _options(config), on_step, engine=engine, keeper=keeper
    )
    shape = len(regions), len(DENSITIES)
    trained = TrainedFlows(
        list(regions),
        list(features),
        architecture,
        scaling,
        condition_scaling,
        fitted.weights.view(*shape, *fitted.weights.shape[1:]),
        fitted.statistics.view(*shape, *fitted.statistics.shape[1:]),
        fitted.failed.reshape(shape),
        fitted.engine,
    )
    history = history_table(fitted.history, tasks, regions, log_det[~held_out], log_det[held_out])
    return trained, history


def score(
    trained: TrainedFlows,
    x: Array,
    condition: Array,
    source_id: NDArray[np.int64],
    device: Device = "auto",
) -> Table:
    """Both densities of stars inside each signal region.

    Parameters
    ----------
    trained : TrainedFlows
    x : ndarray of shape (N, d), float64
        Features of the stars to score, natural units.
    condition : ndarray of shape (N, 1), float64
        Their scanned proper motion, mas/yr.
    source_id : ndarray of shape (N,), int64
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    astropy.table.Table
        One row a (region, star), sorted by region, then ``source_id``: ``source_id``,
        ``region`` (lower edge, mas/yr), ``log_sr``, ``log_cr`` (ln of the density in natural
        units, Jacobian included) and ``log_ratio``, their difference. All three are -inf for a
        star outside the box of the scaling or with a missing feature. Regions with a failed
        flow are left out; `TrainedFlows.failed_regions` names them.

    Raises
    ------
    BadInputError
        If CUDA is asked for and absent, or a star has a proper motion beyond all of training.
    """
    where = choose_device(device)
    # What the native engine trained it may score, where it is; torch agrees with it to rounding.
    native = trained.engine == NATIVE.name
    engine = choose_engine("auto" if native else "torch", trained.architecture, where)
    order = np.argsort(source_id, kind="stable")
    x, condition, source_id = x[order], condition[order], source_id[order]
    parts = [_empty_scores()]
    for row, region in enumerate(trained.regions):
        inside = np.flatnonzero(region.contains(condition[:, 0]))
        if trained.failed[row].any() or len(inside) == 0:
            continue
        z, scaled, log_det = trained.scale(x[inside], condition[inside])
        stars = torch.from_numpy(z).to(where, torch.float32)
        given = torch.from_numpy(scaled).to(where, torch.float32)
        stacks = (trained.members(row, density, engine.stack).to(where) for density in DENSITIES)
        log_sr, log_cr = (stack.average_log_prob(stars, given).cpu().numpy() for stack in stacks)
        lower = np.full(len(inside), region.lower)
        # A star outside the trained box has no density, and must not rank above any other.
        ratio = np.where(np.isfinite(log_det), log_sr.astype(np.float64) - log_cr, -np.inf)
        parts.append([source_id[inside], lower, log_sr + log_det, log_cr + log_det, ratio])
    names = ["source_id", "region", "log_sr", "log_cr", "log_ratio"]
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Table(columns, names=names, units={"region": u.mas / u.yr})


def _empty_scores() -> list[NDArray[np.generic]]:
    return [np.empty(0, np.int64), *(np.empty(0) for _ in range(4))]


def _tasks(
    pm: Array,
    held_out: NDArray[np.bool_],
    regions: Sequence[SignalRegion],
    seed: int,
    patch: str,
) -> list[Task]:
    """Signal and control region of each region, as rows of the sorted stars."""
    tasks = []
    kept, tested = pm[~held_out], pm[held_out]
    for region in regions:
        edges = [region.lower, region.upper]
        start, stop = np.searchsorted(kept, edges).tolist()
        first, last = np.searchsorted(tested, edges).tolist()
        for density in DENSITIES:
            outside = density == "cr"
            task = Task(
                Rows(start, stop, complement=outside),
                Rows(first, last, complement=outside),
                seed_sequence(seed, patch, region.scan, region.lower, density),
            )
            if not task.train.count(len(kept)) or not task.held_out.count(len(tested)):
                raise UnprocessableError(
                    f"patch {patch}: the region of {region.scan} from {region.lower:g} mas/yr "
                    "has too few stars to hold some out; raise regions.min_stars"
                )
            tasks.append(task)
    return tasks


def _options(config: TrainConfig) -> FitOptions:
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


def lanes_of(config: TrainConfig, features: int) -> int:
    """How many flows of so many features train side by side on this machine.

    Raises
    ------
    BadInputError
        If CUDA or the native engine is asked for and absent.
    """
    device = choose_device(config.device)
    engine = _engine(config, architecture_of(config.flow, features), device)
    return engine.lanes.width(_options(config), device)
