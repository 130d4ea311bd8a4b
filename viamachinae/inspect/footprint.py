"""The footprint of a candidate on the sky, as a multi-order coverage map (MOC, IVOA 2.0)."""

from __future__ import annotations

import io

import numpy as np
from astropy.table import Table

from viamachinae.inspect.track import StreamFrame

# Order 9 has pixels of 7', a ninth of the width of the box that finds lines.
MAX_ORDER = 9
# Corners of the outline stand this close: the edge of a strip is no great circle.
CORNER_STEP_DEG = 1.0


def has_moc() -> bool:
    """Whether mocpy, the extra `moc`, is installed."""
    try:
        import mocpy  # noqa: F401
    except ImportError:
        return False
    return True


def footprint(
    frame: StreamFrame, phi1: tuple[float, float], nodes: Table, half_width_deg: float
) -> bytes:
    """The bytes of a FITS file with the MOC of a strip along the track.

    Parameters
    ----------
    frame : StreamFrame
        Of the candidate.
    phi1 : pair of float
        The ends of the strip, deg.
    nodes : Table
        The track: phi1 ascending and phi2, deg. Without nodes the strip follows the equator of
        the frame.
    half_width_deg : float
        The strip reaches so far to either side, and beyond its ends.

    Raises
    ------
    ImportError
        Without mocpy.
    """
    from mocpy import MOC

    low, high = phi1[0] - half_width_deg, phi1[1] + half_width_deg
    along = np.linspace(low, high, 2 + int((high - low) / CORNER_STEP_DEG))
    middle = np.interp(along, nodes["phi1"], nodes["phi2"]) if len(nodes) else 0 * along
    edges = [middle - half_width_deg, (middle + half_width_deg)[::-1]]
    outline = frame.sky(np.concatenate([along, along[::-1]]), np.concatenate(edges))
    moc = MOC.from_polygon_skycoord(outline.coordinates, max_depth=MAX_ORDER)
    sink = io.BytesIO()
    moc.serialize(format="fits").writeto(sink)
    return sink.getvalue()
