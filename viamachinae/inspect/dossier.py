"""The page of one candidate, in the order of doubt: what one must see to accept or reject it."""

from __future__ import annotations

import numpy as np

from viamachinae.inspect.candidate import Candidate
from viamachinae.inspect.columns import Cell, cells, shown_columns
from viamachinae.inspect.panels import panels, references, star_counts
from viamachinae.inspect.pictures import render
from viamachinae.inspect.vetting import VERDICTS

_IN_HEADING = {"rank", "candidate", "verdict"}


def dossier(candidate: Candidate) -> str:
    """The text of a candidate's page: the same for the same candidate, byte for byte."""
    line = candidate.members["on_line"]
    return render(
        "dossier.html.j2",
        name=candidate.name,
        rank=int(candidate.row["rank"]),
        run_name=candidate.run_name,
        strip=_strip(candidate),
        verdict=candidate.verdict,
        verdicts=VERDICTS,
        panels=panels(candidate),
        references=references(candidate),
        lineage=_lineage_rows(candidate),
        cutflow=candidate.view.cutflow,
        patch=candidate.view.patch.id,
        command=candidate.command,
        files=candidate.files,
        counts=star_counts(int(np.sum(line)), int(np.sum(~np.asarray(line)))),
    )


def _strip(candidate: Candidate) -> list[tuple[str, str, Cell]]:
    """Heading, unit and value of each fact."""
    columns = [c for c in shown_columns(candidate.row.colnames) if c.name not in _IN_HEADING]
    values = cells(candidate.row, columns, candidate.verdict)
    facts = [(c.heading, c.unit, cell) for c, cell in zip(columns, values, strict=True)]
    view = candidate.view
    edge = view.patch.evaluation_radius_deg - abs(view.r_deg)
    facts.append(("Line to rim", "deg", Cell(f"{edge:.1f}")))
    return facts


def _lineage_rows(candidate: Candidate) -> list[dict[str, str]]:
    names = ("patch", "protostream", "protocluster", "scan")
    rows = []
    for row in candidate.lineage:
        edges = {name: f"{row[name]:g}".replace("-", "−") for name in ("region", "window")}
        words = {name: str(row[name]) for name in names}
        rows.append({**words, **edges, "sigma": f"{row['sigma']:.1f}"})
    return rows
