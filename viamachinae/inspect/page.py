"""The page of a scan, ``index.html``: it holds its map, table and style, and needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from astropy.table import Table

from viamachinae.inspect import maps
from viamachinae.inspect.columns import cells, shown_columns
from viamachinae.inspect.exports import CANDIDATES, MEMBERS, conform
from viamachinae.inspect.false_candidates import FalseCandidates
from viamachinae.inspect.pictures import Picture, counted, picture, render
from viamachinae.inspect.projection import Directions
from viamachinae.inspect.vetting import VERDICTS, Vetting
from viamachinae.sky import Patch


class Paper(NamedTuple):
    """A paper to cite: authors and short title, arXiv number, what is taken from it."""

    text: str
    arxiv: str
    what: str


CITATIONS = (
    Paper("Shih, Buckley, Necib & Tamanas, Via Machinae", "2104.12789", "the method"),
    Paper("Shih, Buckley & Necib, Via Machinae 2.0", "2303.01529", "the line finder and linking"),
    Paper("Hallin, Shih, Krause & Buckley, Via Machinae 3.0", "2509.08064", "its refinement"),
    Paper("Nachman & Shih, ANODE", "2001.04990", "the anomaly score"),
)


@dataclass(frozen=True)
class PatchRecord:
    """How the work on a patch ended.

    Attributes
    ----------
    patch : Patch
        Where it is.
    outcome : str
        One of `viamachinae.inspect.maps.OUTCOMES`.
    reason : str
        Why it is not ``done``; empty where there is nothing to say.
    n_stars : int or None
        Stars in the patch; None where it was not read.
    seconds : float or None
        Time spent on it.
    """

    patch: Patch
    outcome: str
    reason: str = ""
    n_stars: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Report:
    """All that the page shows.

    Attributes
    ----------
    name : str
        Name of the run.
    provenance : mapping of str to str
        Shown as given: version, command, configuration hash, seed, source, started, finished.
    patches : sequence of PatchRecord
        At least one.
    candidates, members : Table
        With the columns of `exports.CANDIDATES` and `exports.MEMBERS`.
    max_figures : int
        Candidates, best first, that have a dossier.
    verdicts : mapping of str to Vetting
        What was said last, by the candidate's name.
    false : FalseCandidates, optional
        What null skies say of the candidates, where there are any.
    """

    name: str
    provenance: Mapping[str, str]
    patches: Sequence[PatchRecord]
    candidates: Table
    members: Table
    max_figures: int = 50
    verdicts: Mapping[str, Vetting] = field(default_factory=dict)
    false: FalseCandidates | None = None


def page(report: Report) -> str:
    """The text of ``index.html``: the same for the same report, byte for byte.

    Raises
    ------
    ValueError
        If there is no patch, a table lacks a column, or an outcome is unknown.
    """
    unknown = {record.outcome for record in report.patches} - set(maps.OUTCOMES)
    if unknown:
        raise ValueError(f"unknown outcome {', '.join(sorted(unknown))}")
    if not report.patches:
        raise ValueError("a report needs at least one patch")
    candidates = conform(report.candidates, CANDIDATES)
    candidates.sort("rank")
    members = conform(report.members, MEMBERS)
    columns = shown_columns(candidates)
    return render(
        "index.html.j2",
        name=report.name,
        summary=_summary(report),
        maps=_maps(report, candidates, members),
        columns=columns,
        rows=[
            (
                str(row["candidate"]),
                position < report.max_figures,
                cells(row, columns, report.verdicts.get(str(row["candidate"]))),
            )
            for position, row in enumerate(candidates)
        ],
        verdicts=VERDICTS,
        chance=report.false,
        chance_picture=report.false.picture() if report.false else None,
        max_figures=report.max_figures,
        patches=report.patches,
        has_reasons=any(record.reason for record in report.patches),
        provenance=report.provenance,
        citations=CITATIONS,
    )


def _outcomes(report: Report) -> list[str]:
    return [record.outcome for record in report.patches]


def _summary(report: Report) -> str:
    outcomes = _outcomes(report)
    counts = [f"{outcomes.count(name)} {name}" for name in maps.OUTCOMES if name in outcomes]
    found = counted(len(report.candidates), "stream candidate", "stream candidates")
    return f"{found} in {counted(len(outcomes), 'patch', 'patches')} ({', '.join(counts)})."


def _maps(report: Report, candidates: Table, members: Table) -> list[Picture]:
    patches, outcomes = [record.patch for record in report.patches], _outcomes(report)
    line = members[np.asarray(members["on_line"])]
    tracks = []
    for row in candidates:
        own = line[line["candidate"] == row["candidate"]]
        stars = Directions(np.asarray(own["ra"]), np.asarray(own["dec"]))
        tracks.append(maps.Track(int(row["rank"]), float(row["ra"]), float(row["dec"]), stars))
    content = f"{counted(len(patches), 'patch', 'patches')} as the rims of their evaluation discs"
    if tracks:
        content += f", {counted(len(tracks), 'candidate', 'candidates')} by rank"
    pictures = [
        picture(
            maps.all_sky(patches, outcomes, tracks),
            maps.MAP_DPI,
            f"All-sky map in Galactic coordinates: {content}. {_summary(report)}",
            "The whole sky in Galactic coordinates (Mollweide projection), longitude growing to "
            f"the left: {content}. Faint: known streams, clusters and dwarf galaxies.",
        )
    ]
    if maps.fits_local(patches):
        pictures.append(
            picture(
                maps.local(patches, outcomes, tracks),
                maps.MAP_DPI,
                f"Map of the scanned part of the sky, right ascension growing to the left: "
                f"{content}.",
                "The scanned part of the sky in an equal-area projection (ICRS).",
            )
        )
    return pictures
