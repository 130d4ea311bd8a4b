"""The course of training as a table."""

from __future__ import annotations

from collections.abc import Sequence

import astropy.units as u
import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from viamachinae.flows.rows import Rows, Task
from viamachinae.flows.runs import EpochRecord
from viamachinae.score.regions import SignalRegion
from viamachinae.score.trained import DENSITIES

Array = NDArray[np.float64]


def history_table(
    records: Sequence[EpochRecord],
    tasks: Sequence[Task],
    regions: Sequence[SignalRegion],
    log_det: Array,
    log_det_held_out: Array,
) -> Table:
    """The course of training, with likelihoods in natural units.

    Parameters
    ----------
    records : sequence of EpochRecord
        In the scaled space; the mean log-Jacobian of each flow's stars is added here.
    tasks : sequence of Task
        Of the flows: for each region its signal region, then its control region.
    regions : sequence of SignalRegion
    log_det, log_det_held_out : ndarray, float64
        Log-Jacobians of the scaling for the sorted training and held-out stars.

    Returns
    -------
    astropy.table.Table
        One row a (region, density, epoch): ``region`` (lower edge, mas/yr), ``density`` (sr or
        cr), ``epoch``, ``n_stars`` (trained on), ``loss``, ``held_out``, ``outcome`` (done,
        retried or failed).
    """
    shift = [_mean(task.train, log_det) for task in tasks]
    shift_held_out = [_mean(task.held_out, log_det_held_out) for task in tasks]
    rows = [
        (
            regions[record.flow // 2].lower,
            DENSITIES[record.flow % 2],
            record.epoch,
            tasks[record.flow].train.count(len(log_det)),
            record.loss - shift[record.flow],
            record.held_out + shift_held_out[record.flow],
            record.outcome,
        )
        for record in records
    ]
    table = Table(
        rows=rows,
        names=["region", "density", "epoch", "n_stars", "loss", "held_out", "outcome"],
        units={"region": u.mas / u.yr},
    )
    table["loss"].description = "mean of -ln p over the training stars during the epoch"
    table["held_out"].description = "mean of ln p over the held-out stars after the epoch"
    return table


def _mean(rows: Rows, values: Array) -> float:
    return float(np.concatenate(list(rows.parts(values))).mean())
