"""The files of one candidate, for whoever follows it up."""

from __future__ import annotations

import numpy as np
from astropy.table import Row, Table

from viamachinae.inspect.exports import CANDIDATES, MASYR, MEMBERS, conform
from viamachinae.inspect.footprint import footprint, has_moc
from viamachinae.inspect.formats import ecsv, fits_table, votable_xml
from viamachinae.inspect.projection import Directions
from viamachinae.inspect.track import FrameMotions, StreamFrame, stream_frame, track

_FRAME_UNITS = {"phi1": "deg", "phi2": "deg", "pm_phi1": MASYR, "pm_phi2": MASYR}


def own_frame(members: Table) -> tuple[StreamFrame, FrameMotions]:
    """The great-circle frame of a candidate's line stars, and its members in it."""
    on_line = np.asarray(members["on_line"], dtype=np.bool_)
    columns = [np.asarray(members[name]) for name in ("ra", "dec", "pmra", "pmdec")]
    frame = stream_frame(Directions(columns[0][on_line], columns[1][on_line]))
    return frame, frame.transform(*columns)


def candidate_files(row: Row, members: Table, half_width_deg: float) -> dict[str, bytes]:
    """Content by file name; the footprint only where mocpy is installed.

    Parameters
    ----------
    row : Row
        Of the candidates' table.
    members : Table
        Its stars, at least with the columns of `MEMBERS`.
    half_width_deg : float
        Half the width of the line finder's box.

    Raises
    ------
    ValueError
        If no star is on the line.
    """
    name = str(row["candidate"])
    on_line = np.asarray(members["on_line"], dtype=np.bool_)
    if not on_line.any():
        raise ValueError(f"candidate {name} has no star on its line")
    frame, places = own_frame(members)
    stars = members.copy()
    for column, unit in _FRAME_UNITS.items():
        stars[column] = getattr(places, column)
        stars[column].unit = unit
    stars = conform(stars, MEMBERS)
    nodes = track(stars[on_line], frame)
    files = {
        "candidate.ecsv": ecsv(conform(Table(row), CANDIDATES)).encode(),
        "members.ecsv": ecsv(stars).encode(),
        "members.fits": fits_table(stars),
        "members.vot": votable_xml(stars, f"Stars of the stream candidate {name}"),
        "track.ecsv": ecsv(nodes).encode(),
    }
    if has_moc():
        phi1 = places.phi1[on_line]
        ends = float(phi1.min()), float(phi1.max())
        files["footprint.moc.fits"] = footprint(frame, ends, nodes, half_width_deg)
    return files
