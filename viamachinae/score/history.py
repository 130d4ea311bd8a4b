"""The course of training as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import astropy.units as u
from astropy.table import Table

from viamachinae.flows.runs import EpochRecord

_TYPES = {
    "region": "f8",
    "retraining": "i8",
    "density": "U16",
    "epoch": "i8",
    "n_stars": "i8",
    "loss": "f8",
    "held_out": "f8",
    "outcome": "U8",
}


class Course(NamedTuple):
    """What a model learned from, and how its likelihood reads in natural units.

    Attributes
    ----------
    region : float
        Lower edge of its signal region, mas/yr.
    retraining : int
        Which training of the region.
    density : str
        What it is: ``sr``, ``cr``, ``signal``, or ``fold 0`` and so on for a classifier.
    n_stars : int
        Stars (and samples) that it was trained on.
    shift, shift_held_out : float
        Mean log-Jacobian of the scaling over those, and over the held-out ones; 0 for a
        classifier, whose likelihood is that of labels.
    """

    region: float
    retraining: int
    density: str
    n_stars: int
    shift: float = 0.0
    shift_held_out: float = 0.0


def history_table(records: Sequence[EpochRecord], courses: Sequence[Course]) -> Table:
    """The course of training, with likelihoods in natural units.

    Parameters
    ----------
    records : sequence of EpochRecord
        In the scaled space.
    courses : sequence of Course
        Of the models, by their number.

    Returns
    -------
    astropy.table.Table
        One row a (region, retraining, density, epoch): ``region`` (lower edge, mas/yr),
        ``retraining``, ``density``, ``epoch``, ``n_stars`` (trained on), ``loss``, ``held_out``,
        ``outcome`` (done, retried or failed).
    """
    rows = [
        (
            course.region,
            course.retraining,
            course.density,
            record.epoch,
            course.n_stars,
            record.loss - course.shift,
            record.held_out + course.shift_held_out,
            record.outcome,
        )
        for record, course in ((record, courses[record.flow]) for record in records)
    ]
    table = Table(
        rows=rows or None,
        names=list(_TYPES),
        dtype=list(_TYPES.values()),
        units={"region": u.mas / u.yr},
    )
    table["loss"].description = "mean of -ln p over the training stars during the epoch"
    table["held_out"].description = "mean of ln p over the held-out stars after the epoch"
    return table
