"""What people say of candidates: the rows of ``vetting.csv``, and whom they are about today.

A row keeps stars of the candidate beside its name, so that the verdict goes on with the stream
where a later scan gives it another name. Rows are only ever added; the last one counts.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from astropy.table import Table

from viamachinae.errors import BadInputError
from viamachinae.inspect.comparison import MIN_SHARED, line_stars, shared_counts

VERDICTS = ("stream", "doubtful", "rejected")
# So many line stars, those of highest score, know a candidate again (ours).
MAX_STARS = 100


class Vetting(NamedTuple):
    """A row: who said what, when (ISO 8601, UTC), of which candidate.

    `stars` holds the ``source_id`` of its best line stars.
    """

    who: str
    when: str
    candidate: str
    verdict: str
    note: str
    stars: tuple[int, ...]


HEAD = ",".join(Vetting._fields) + "\n"


def vetting_text(row: Vetting) -> str:
    """The row as a line of CSV; a note of several lines becomes one."""
    sink = io.StringIO()
    fields = [" ".join(str(field).split()) for field in row[:-1]]
    csv.writer(sink, lineterminator="\n").writerow([*fields, " ".join(map(str, row.stars))])
    return sink.getvalue()


def parse_vetting(text: str, name: str) -> list[Vetting]:
    """All rows of a file's text; `name` is what messages call it.

    Raises
    ------
    BadInputError
        If the head or a row is not as `vetting_text` writes it.
    """
    if not text:
        return []
    lines = csv.reader(io.StringIO(text))
    if tuple(next(lines)) != Vetting._fields:
        raise BadInputError(f"{name}: must begin with {HEAD.strip()}; move it away or mend it")
    rows = []
    for number, fields in enumerate(lines, 2):
        try:
            who, when, candidate, verdict, note, stars = fields
            known = tuple(map(int, stars.split()))
        except ValueError:
            raise BadInputError(f"{name}: line {number} is damaged; mend or remove it") from None
        rows.append(Vetting(who, when, candidate, verdict, note, known))
    return rows


def known_by(members: Table) -> tuple[int, ...]:
    """The stars that know a candidate again, from its rows of the members."""
    line = members[np.asarray(members["on_line"], dtype=np.bool_)]
    order = np.lexsort((line["source_id"], -np.asarray(line["log_ratio"])))
    return tuple(int(star) for star in np.asarray(line["source_id"])[order[:MAX_STARS]])


def current(rows: Sequence[Vetting], candidates: Table, members: Table) -> dict[str, Vetting]:
    """What counts today, by the name of the candidate today.

    A row is about the candidate whose line holds most of its stars, if that is more than
    `MIN_SHARED` of them, whatever its name was.
    """
    stars = [np.unique(np.array(row.stars, dtype=np.int64)) for row in rows]
    shared = shared_counts(stars, line_stars(candidates, members))
    found = {}
    for row, own, counts in zip(rows, stars, shared, strict=True):
        if counts.max(initial=0) > MIN_SHARED * len(own):
            found[str(candidates["candidate"][int(np.argmax(counts))])] = row
    return found
