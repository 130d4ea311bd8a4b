"""A candidate in Aladin Lite, in a notebook: its stars and its footprint over images of the sky."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from viamachinae.errors import BadInputError, install_extra
from viamachinae.inspect.projection import Directions, frame_of


def aladin_view(name: str, members: Table, footprint: Path | None) -> Any:
    """A widget that shows a candidate; its images come from the CDS when a browser shows it.

    Parameters
    ----------
    name : str
        Of the candidate; its overlays are called after it.
    members : Table
        Its stars, with the columns of `exports.MEMBERS`.
    footprint : Path, optional
        FITS file of the MOC to draw beneath the stars.

    Returns
    -------
    ipyaladin.Aladin
        Centred on the stars and wide enough for all of them.

    Raises
    ------
    BadInputError
        If ipyaladin or mocpy is not installed.
    """
    try:
        from ipyaladin import Aladin
        from mocpy import MOC
    except ImportError:
        raise BadInputError(
            "a view in Aladin needs ipyaladin and mocpy; install them with "
            + install_extra("aladin")
        ) from None
    stars = members.copy()
    # The numbers of JavaScript end at 2**53: a source_id would lose its last digits.
    stars["source_id"] = np.asarray(stars["source_id"]).astype(np.str_)
    ra, dec, radius_deg = frame_of(Directions(np.asarray(stars["ra"]), np.asarray(stars["dec"])))
    widget = Aladin(target=(ra, dec), fov=2 * radius_deg)
    if footprint is not None:
        moc = MOC.load(footprint, "fits")
        widget.add_moc(moc, name=f"{name}, footprint", color="#0072B2", opacity=0.2)
    on_line = np.asarray(stars["on_line"], dtype=np.bool_)
    where = {"ra_field": "ra", "dec_field": "dec", "shape": "circle"}
    for part, kept, colour in (
        ("beside the line", ~on_line, "#E69F00"),
        ("line stars", on_line, "#D55E00"),
    ):
        widget.add_table(stars[kept], name=f"{name}, {part}", color=colour, **where)
    return widget
