"""A candidate as its page takes it: its row, its stars in layers, its line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from astropy.table import Row, Table
from numpy.typing import NDArray

from viamachinae.catalog.ridge_lines import Ridge
from viamachinae.inspect.figures import Layers, Stars
from viamachinae.inspect.references import Reference
from viamachinae.inspect.vetting import Vetting
from viamachinae.inspect.view import LineView

GAIA_PHOTOMETRY = ("bp_rp", "phot_g_mean_mag")
_NO_STARS = Stars(*np.empty((len(Stars._fields), 0)))


@dataclass(frozen=True)
class Candidate:
    """All that a dossier shows.

    Attributes
    ----------
    row : Row
        Of the candidates' table.
    members : Table
        Its stars, with the columns of `exports.MEMBERS`.
    lineage : Table
        Its regions of interest: patch, protostream, protocluster, scan, region, window, sigma.
    view : LineView
        Its line in its best patch.
    background : Table
        Fiducial stars of that patch, drawn in grey; empty where there are none.
    photometry : tuple of str
        The catalogue's columns that the scan took as colour and magnitude. The diagram shows the
        columns `colour` and `mag` of a table or, where it has none, those of these names.
    command : str
        Runs its best patch again.
    run_name : str
        Name of the run.
    references : sequence of Reference
        Its best region of interest and what that is held against; may be empty.
    ridge : Ridge, optional
        The ridge line at the distance that was fitted.
    verdict : Vetting, optional
        What was said of it last.
    files : sequence of str
        Names of the files beside the page.
    """

    row: Row
    members: Table
    lineage: Table
    view: LineView
    background: Table
    photometry: tuple[str, str]
    command: str
    run_name: str
    references: Sequence[Reference] = ()
    ridge: Ridge | None = None
    verdict: Vetting | None = None
    files: Sequence[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.row["candidate"])


def layers(members: Table, background: Table, photometry: tuple[str, str]) -> Layers:
    """The stars of a candidate as the figures take them; arguments as in `Candidate`."""
    on_line = np.asarray(members["on_line"], dtype=bool)
    return Layers(
        _stars(background, photometry) if len(background) else _NO_STARS,
        _stars(members[~on_line], photometry),
        _stars(members[on_line], photometry),
    )


def _stars(table: Table, photometry: tuple[str, str]) -> Stars:
    def values(*names: str) -> NDArray[np.float64]:
        for name in names:
            if name in table.colnames:
                return np.ma.asarray(table[name], dtype=np.float64).filled(np.nan)
        return np.full(len(table), np.nan)

    return Stars(
        ra=values("ra"),
        dec=values("dec"),
        pmra=values("pmra"),
        pmdec=values("pmdec"),
        colour=values("colour", photometry[0]),
        mag=values("mag", photometry[1]),
    )
