"""Known objects: globular clusters, dwarf galaxies, the Magellanic Clouds and stellar streams.

The tables in ``data`` are made by ``catalogs/make.py``; each row names its reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from typing import Literal, NamedTuple, get_args

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from viamachinae.catalog.tracks import Track, track

Array = NDArray[np.float64]
Kind = Literal["cluster", "dwarf", "cloud", "stream"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Nodes(NamedTuple):
    """Nodes along a track, one for a point: float64 arrays of shape (n_nodes,), NaN if not known.

    ICRS deg, kpc, mas/yr (`pmra` times cos dec).
    """

    ra: Array
    dec: Array
    distance_kpc: Array
    pmra: Array
    pmdec: Array


@dataclass(frozen=True, eq=False)
class KnownObject:
    """A known object: a point on the sky, or one published track of a stream.

    Attributes
    ----------
    name : str
        Of the object or the stream; a stream with several published tracks comes several times.
    kind : {"cluster", "dwarf", "cloud", "stream"}
        What it is.
    label : str
        The name; of a stream, the name with author and year of the track.
    nodes : Nodes
        Where it is, how far, and how it moves.
    size_deg : float
        Half-light radius, or Gaussian width across the track; NaN where not known.
    has_pm : bool
        Whether its proper motion is known, along all of a track.
    preferred : bool
        False for a track that the source takes for superseded.
    reference : str
        arXiv or DOI identifiers.
    """

    name: str
    kind: Kind
    label: str
    nodes: Nodes
    size_deg: float
    has_pm: bool
    preferred: bool
    reference: str

    @cached_property
    def track(self) -> Track:
        """The nodes as vectors."""
        nodes = self.nodes
        return track(nodes.ra, nodes.dec, nodes.pmra, nodes.pmdec)

    def reach_deg(self, n_sizes: float, least_deg: float, most_deg: float) -> float:
        """A radius of `n_sizes` sizes within bounds, deg; the least where no size is known."""
        if np.isnan(self.size_deg):
            return least_deg
        return float(np.clip(n_sizes * self.size_deg, least_deg, most_deg))


@lru_cache(maxsize=1)
def known_objects() -> tuple[KnownObject, ...]:
    """All known objects: clouds, clusters, dwarfs, then the tracks of streams."""
    return (*_points(), *_streams())


def known_of(kind: Kind) -> tuple[KnownObject, ...]:
    """The known objects of one kind."""
    return tuple(one for one in known_objects() if one.kind == kind)


def read_catalogue(name: str) -> Table:
    """One of the tables ``objects``, ``streams`` and ``stream_nodes``, with units and origin."""
    path = resources.files("viamachinae.catalog") / "data" / f"{name}.ecsv"
    return Table.read(path.read_text(encoding="utf-8"), format="ascii.ecsv")


def _points() -> list[KnownObject]:
    table = read_catalogue("objects")
    nodes = _nodes(table)
    return [
        KnownObject(
            name=str(row["name"]),
            kind=row["kind"],
            label=str(row["name"]),
            nodes=Nodes(*(column[i : i + 1] for column in nodes)),
            size_deg=float(row["half_light"]),
            has_pm=bool(np.isfinite(row["pmra"]) and np.isfinite(row["pmdec"])),
            preferred=True,
            reference=str(row["reference"]),
        )
        for i, row in enumerate(table)
    ]


def _streams() -> list[KnownObject]:
    table = read_catalogue("stream_nodes")
    nodes = _nodes(table)
    # The rows of a track are one run.
    names, begin, count = np.unique(table["track"], return_index=True, return_counts=True)
    rows = {str(n): slice(b, b + c) for n, b, c in zip(names, begin, count, strict=True)}
    return [
        KnownObject(
            name=str(row["name"]),
            kind="stream",
            label=str(row["track"]),
            nodes=Nodes(*(column[rows[str(row["track"])]] for column in nodes)),
            size_deg=float(row["width"]),
            has_pm=bool(row["has_pm"]),
            preferred=bool(row["preferred"]),
            reference=str(row["reference"]),
        )
        for row in read_catalogue("streams")
    ]


def _nodes(table: Table) -> Nodes:
    names = ("ra", "dec", "distance", "pmra", "pmdec")
    return Nodes(*(np.asarray(table[name], dtype=np.float64) for name in names))
