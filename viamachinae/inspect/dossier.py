"""The page of one candidate, in the order of doubt: what one must see to accept or reject it."""

from __future__ import annotations

import numpy as np
from astropy.table import Table

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


def _strip(candidate: Candidate) -> list[tuple[str, str, Cell, str]]:
    """Heading, unit, value and meaning of each fact."""
    columns = [c for c in shown_columns(Table(candidate.row)) if c.name not in _IN_HEADING]
    values = cells(candidate.row, columns, candidate.verdict)
    facts = [(c.heading, c.unit, cell, c.meaning) for c, cell in zip(columns, values, strict=True)]
    view = candidate.view
    edge = view.patch.evaluation_radius_deg - abs(view.r_deg)
    meaning = "From the line's nearest point to the centre of its patch to the patch's rim"
    facts.append(("Line to rim", "deg", Cell(f"{edge:.1f}"), meaning))
    return facts


def _lineage_rows(candidate: Candidate) -> list[dict[str, object]]:
    """One row a protocluster, with its regions of interest in the order of the table."""
    regions: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for row in candidate.lineage:
        patch, stream, cluster = (str(row[f]) for f in ("patch", "protostream", "protocluster"))
        edges = {name: f"{row[name]:g}".replace("-", "−") for name in ("region", "window")}
        roi = {"scan": str(row["scan"]), **edges, "sigma": f"{row['sigma']:.1f}"}
        regions.setdefault((patch, stream, cluster), []).append(roi)
    return [
        {"patch": patch, "protostream": stream, "protocluster": cluster, "regions": found}
        for (patch, stream, cluster), found in regions.items()
    ]
