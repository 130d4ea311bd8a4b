"""A run as Python sees it: its tables, and those of its patches when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa
from astropy.table import Table

from viamachinae.config import Scan, ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.inspect.aladin import aladin_view
from viamachinae.inspect.comparison import compare as compare_candidates
from viamachinae.inspect.samp import send_votable
from viamachinae.inspect.vetting import Vetting, current
from viamachinae.link.protoclusters import PROTOCLUSTERS_SCHEMA
from viamachinae.pipeline.status import outcome_of, patch_records, run_config
from viamachinae.pipeline.vetting import read_vetting
from viamachinae.sky import tile
from viamachinae.store.files import read_table
from viamachinae.store.run import RunFolder

Kind = Literal["astropy", "pandas"]

_WITHOUT_LISTS = [one.name for one in PROTOCLUSTERS_SCHEMA if not pa.types.is_list(one.type)]


@dataclass(frozen=True)
class PatchResults:
    """The tables of one patch, read anew at each call: of astropy, or frames of pandas.

    Each raises `BadInputError` where the stage that makes it has not run.
    """

    run: RunFolder
    patch: str
    kind: Kind

    def stars(self) -> Any:
        """Its usable stars in its frame."""
        return _table(self.run.stars(self.patch), self.kind)

    def scores(self, scan: Scan) -> Any:
        """Scores of its fiducial stars in the signal regions of a scan."""
        return _table(self.run.scores(self.patch, scan), self.kind)

    def lines(self) -> Any:
        """The best line of each of its regions of interest."""
        return _table(self.run.lines(self.patch), self.kind)

    def protoclusters(self) -> Any:
        """Its protoclusters, without their lists of regions and stars."""
        return _table(self.run.protoclusters(self.patch), self.kind, _WITHOUT_LISTS)


@dataclass(frozen=True)
class Results:
    """A run. Tables are of astropy, or frames of pandas.

    Attributes
    ----------
    config : ScanConfig
        What was run.
    patches : mapping of str to PatchResults
        By id; nothing of a patch is read before one of its tables is asked for.
    """

    run: RunFolder
    kind: Kind
    config: ScanConfig
    patches: Mapping[str, PatchResults] = field(repr=False)

    def __iter__(self) -> Iterator[str]:
        """The names of the candidates, best first."""
        return iter(map(str, _candidates(self.run)["candidate"]))

    def candidates(self) -> Any:
        """One row a stream candidate, best first."""
        return _given(_candidates(self.run), self.kind)

    def members(self, candidate: str | None = None) -> Any:
        """The stars of all candidates, or of one.

        Those of one come with all that its ``members.ecsv`` holds: astrometry with errors where
        the catalogue had them, and the regions of interest.

        Raises
        ------
        BadInputError
            If there is no such candidate.
        """
        if candidate is None:
            return _table(self.run.members, self.kind)
        path = self._file(candidate, "members.ecsv")
        return _given(Table.read(path, format="ascii.ecsv"), self.kind)

    def send(self, candidate: str) -> list[str]:
        """Send the stars of a candidate to TOPCAT, Aladin or whatever else is at the SAMP hub.

        Returns
        -------
        list of str
            The names of the programs that were told to load its ``members.vot``.

        Raises
        ------
        BadInputError
            If there is no such candidate, pyvo is not installed, no hub runs, or no program there
            takes tables.
        """
        return send_votable(self._file(candidate, "members.vot"), candidate)

    def aladin(self, candidate: str) -> Any:
        """Show a candidate in Aladin Lite, in a notebook; its images come over the network.

        Returns
        -------
        ipyaladin.Aladin
            A widget with the stars on the line, those beside it, and the footprint where the
            report has one.

        Raises
        ------
        BadInputError
            If there is no such candidate, or the extra `aladin` is not installed.
        """
        stars = Table.read(self._file(candidate, "members.ecsv"), format="ascii.ecsv")
        footprint = self.run.candidate(candidate) / "footprint.moc.fits"
        return aladin_view(candidate, stars, footprint if footprint.is_file() else None)

    def lineage(self) -> Any:
        """From each candidate down to its regions of interest, one row each."""
        return _table(self.run.lineage, self.kind)

    def truth(self) -> Any:
        """The injected stars of a simulated sky, without errors.

        Raises
        ------
        BadInputError
            If the sky is not simulated.
        """
        if not self.run.truth.is_file():
            raise BadInputError(f"{self.run.root}: only the run of a simulated sky has a truth")
        return _table(self.run.truth, self.kind)

    def outcomes(self) -> dict[str, str]:
        """How each patch ended, by id: ``done``, ``no_work``, ..., or ``waiting``."""
        ended = {one: patch_records(self.config, self.run, one) for one in self.patches}
        return {one: outcome_of(past) if past else "waiting" for one, past in ended.items()}

    def verdicts(self) -> dict[str, Vetting]:
        """What was said last of candidates, by their names today."""
        members = read_table(self.run.members)
        return current(read_vetting(self.run), _candidates(self.run), members)

    def _file(self, candidate: str, name: str) -> Path:
        if candidate not in self:
            raise BadInputError(f"{self.run.root}: holds no candidate {candidate}")
        path = self.run.candidate(candidate) / name
        if not path.is_file():
            raise BadInputError(
                f"{path}: is not there; `viamachinae inspect {self.run.root} --static` brings the "
                "report up to date"
            )
        return path


def open_run(run: str | Path, kind: Kind = "astropy") -> Results:
    """Open the folder of a run.

    Parameters
    ----------
    run : path
        The folder.
    kind : {"astropy", "pandas"}
        What tables are to be; frames of pandas lose units and need pandas.

    Raises
    ------
    BadInputError
        If it is no run folder, or `kind` is unknown or not installed.
    """
    if kind not in get_args(Kind):
        raise BadInputError(f"kind {kind}: must be one of {', '.join(get_args(Kind))}")
    if kind == "pandas":
        try:
            import pandas  # noqa: F401
        except ImportError:
            raise BadInputError(
                "kind pandas: pandas is not installed; pip install pandas"
            ) from None
    folder = RunFolder(Path(run))
    config = run_config(folder.root)
    patches = {one.id: PatchResults(folder, one.id, kind) for one in tile(config.sky)}
    return Results(folder, kind, config, patches)


def compare(run_a: str | Path, run_b: str | Path) -> Table:
    """The candidates of two runs over one catalogue: matched, lost, gained.

    See `viamachinae.inspect.comparison.compare` for the columns.

    Raises
    ------
    BadInputError
        If one is no run folder with candidates.
    """
    tables = []
    for run in (open_run(run_a), open_run(run_b)):
        tables += [run.candidates(), run.members()]
    return compare_candidates(*tables)


def _candidates(run: RunFolder) -> Table:
    if not run.candidates.is_file():
        raise BadInputError(f"{run.candidates}: is not there; let `viamachinae scan` end first")
    return Table.read(run.candidates, format="ascii.ecsv")


def _table(path: Path, kind: Kind, columns: Sequence[str] | None = None) -> Any:
    if not path.is_file():
        raise BadInputError(f"{path}: is not there; `viamachinae status` tells what was done")
    return _given(read_table(path, columns), kind)


def _given(table: Table, kind: Kind) -> Any:
    return table.to_pandas() if kind == "pandas" else table
