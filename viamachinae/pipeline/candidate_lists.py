"""Lists of candidates as files: a run's own, and plain CSV."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from viamachinae.errors import BadInputError
from viamachinae.store.files import read_table
from viamachinae.store.run import RunFolder
from viamachinae.validate.recovery import CandidateStars

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

# Where a star is and how it moves: ra, dec (deg), pmra, pmdec (mas/yr) of ids, shape (4, n).
Places = Callable[[Ints], Array]
PLACED = ("ra", "dec", "pmra", "pmdec")


def run_candidates(run: RunFolder) -> list[CandidateStars]:
    """The candidates of a run with their line stars, best first.

    Raises
    ------
    BadInputError
        If it has no list of candidates.
    """
    if not (run.candidates.is_file() and run.members.is_file()):
        raise BadInputError(f"{run.candidates}: is not there; let `viamachinae scan` end first")
    members = read_table(run.members, ["candidate", "source_id", *PLACED, "on_line"])
    line = members[np.asarray(members["on_line"], dtype=np.bool_)]
    sigma = {
        str(row["candidate"]): float(row["sigma"])
        for row in Table.read(run.candidates, format="ascii.ecsv")
    }
    found = []
    for name, of_list in sigma.items():
        stars = line[np.asarray(line["candidate"]) == name]
        places = (np.asarray(stars[column], dtype=np.float64) for column in PLACED)
        ids = np.asarray(stars["source_id"], dtype=np.int64)
        found.append(CandidateStars(name, of_list, ids, *places))
    return found


def memberships(run: RunFolder, candidate: str) -> tuple[Ints, Array]:
    """All stars in the lists of a candidate of a run: ``source_id`` and ``membership``."""
    members = read_table(run.members, ["candidate", "source_id", "membership"])
    stars = members[np.asarray(members["candidate"]) == candidate]
    return (
        np.asarray(stars["source_id"], dtype=np.int64),
        np.asarray(stars["membership"], dtype=np.float64),
    )


def read_list(path: Path, places: Places) -> list[CandidateStars]:
    """A list of candidates: a run folder, its ``candidates.ecsv`` or ``members.parquet``, or CSV.

    A CSV file has a row a (candidate, star), with the columns ``candidate`` and ``source_id``,
    and ``sigma``, the candidate's significance, where it knows one.

    Raises
    ------
    BadInputError
        If it is none of these, or names a star that `places` does not know.
    """
    if path.suffix in (".ecsv", ".parquet"):
        path = path.parent
    if path.is_dir():
        return run_candidates(RunFolder(path))
    stars: dict[str, list[int]] = {}
    sigma: dict[str, float] = {}
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                stars.setdefault(row["candidate"], []).append(int(row["source_id"]))
                sigma[row["candidate"]] = float(row.get("sigma") or "nan")
    except (KeyError, ValueError, TypeError) as error:
        raise BadInputError(
            f"{path}: is no list of candidates ({error}); it needs a header and the columns "
            "candidate and source_id (whole numbers), and may have sigma"
        ) from None
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read ({error.strerror})") from None
    found = []
    for name, listed in stars.items():
        ids = np.unique(np.array(listed, dtype=np.int64))
        found.append(CandidateStars(name, sigma[name], ids, *places(ids)))
    return found


def csv_text(candidates: list[CandidateStars]) -> str:
    """The text of a CSV list that `read_list` reads."""
    rows = [f"{one.name},{star},{one.sigma:.3f}\n" for one in candidates for star in one.source_id]
    return "candidate,source_id,sigma\n" + "".join(rows)
