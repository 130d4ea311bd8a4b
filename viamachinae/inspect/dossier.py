"""One candidate on the page: its numbers in words and its three panels."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Row, Table
from matplotlib.figure import Figure
from numpy.typing import NDArray

from viamachinae.inspect import figures
from viamachinae.inspect.exports import CANDIDATES
from viamachinae.inspect.figures import Layers, Stars

GAIA_PHOTOMETRY = ("bp_rp", "phot_g_mean_mag")
_GAIA_LABELS = (r"$G_\mathrm{BP} - G_\mathrm{RP}$ (mag)", r"$G$ (mag)")
_NO_STARS = Stars(*np.empty((len(Stars._fields), 0)))


class Picture(NamedTuple):
    """An image of the page: data URI, alternative text, caption, size in CSS pixels."""

    src: str
    alt: str
    caption: str
    width: int
    height: int


@dataclass(frozen=True)
class Dossier:
    """What the page says about a candidate.

    Numbers are in the units of `exports.CANDIDATES`; `glon`, `glat` are Galactic, in deg; `match`
    names the known object and what speaks against the candidate. There are no `panels` where no
    figures were asked for.
    """

    name: str
    rank: int
    sigma: float
    n_stars: int
    n_patches: int
    ra: float
    dec: float
    glon: float
    glat: float
    pmra: float
    pmdec: float
    match: str
    panels: Sequence[Picture]


def counted(n: int, singular: str, plural: str) -> str:
    """A number with its noun."""
    return f"{n} {singular if n == 1 else plural}"


def picture(figure: Figure, dpi: int, alt: str, caption: str) -> Picture:
    """The figure as an embedded PNG."""
    src = "data:image/png;base64," + base64.b64encode(figures.png(figure, dpi)).decode("ascii")
    # A CSS pixel is 1/96 inch.
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return Picture(src, alt, caption, width, height)


def dossier(row: Row, panels: Sequence[Picture]) -> Dossier:
    """The numbers of a row of the candidates' table, with the candidate's panels."""
    numbers = {field.name: row[field.name].item() for field in CANDIDATES[1:]}
    galactic = SkyCoord(numbers["ra"] * u.deg, numbers["dec"] * u.deg).galactic
    return Dossier(
        name=str(row["candidate"]),
        glon=float(galactic.l.deg),
        glat=float(galactic.b.deg),
        match=match_text(row),
        panels=panels,
        **numbers,
    )


def match_text(row: Row) -> str:
    """Match and flags of a candidate in words, such as ``known: GD-1; edge``."""
    words = []
    if "match" in row.colnames:
        name = str(row["match_name"])
        words.append(f"{row['match']}: {name}" if name else str(row["match"]))
    words += [flag for flag in ("edge", "clump") if flag in row.colnames and row[flag]]
    return "; ".join(words) or "–"


def layers(members: Table, background: Table | None, photometry: tuple[str, str]) -> Layers:
    """The stars of a candidate as the figures take them.

    Parameters
    ----------
    members : Table
        Its rows of ``members.parquet``.
    background : Table or None
        Fiducial stars of its best patch.
    photometry : tuple of str
        Names of the catalogue's columns of colour and magnitude, for tables that do not have
        them as `colour` and `mag`.
    """
    on_line = np.asarray(members["on_line"], dtype=bool)
    return Layers(
        _NO_STARS if background is None else _stars(background, photometry),
        _stars(members[~on_line], photometry),
        _stars(members[on_line], photometry),
    )


def _stars(table: Table, photometry: tuple[str, str]) -> Stars:
    def values(*names: str) -> NDArray[np.float64]:
        for name in names:
            if name in table.colnames:
                return np.ma.asarray(table[name], dtype=np.float64).filled(np.nan)
        return np.full(len(table), np.nan)

    return Stars(
        ra=values("ra"),
        dec=values("dec"),
        pmra=values("pmra"),
        pmdec=values("pmdec"),
        colour=values("colour", photometry[0]),
        mag=values("mag", photometry[1]),
    )


def panels(name: str, stars: Layers, photometry: tuple[str, str]) -> list[Picture]:
    """Sky, proper motions, and colour against magnitude of one candidate.

    Raises
    ------
    ValueError
        If it has no star.
    """
    n_line, n_beside = len(stars.line.ra), len(stars.beside.ra)
    if n_line + n_beside == 0:
        raise ValueError(f"candidate {name} has no star among the members")
    is_gaia = photometry == GAIA_PHOTOMETRY
    labels = _GAIA_LABELS if is_gaia else photometry
    absent = "no Gaia photometry" if is_gaia else "no photometry"
    counts = f"{counted(n_line, 'line star', 'line stars')}, {n_beside} beside the line"
    n_background = len(stars.background.ra)
    grey = f" Grey: {n_background} fiducial stars of its best patch." if n_background else ""
    plane = "G against BP − RP" if is_gaia else f"{photometry[1]} against {photometry[0]}"
    return [
        picture(
            figures.sky(stars),
            figures.PANEL_DPI,
            f"Positions of the stars of {name} in right ascension and declination: {counts}.",
            f"Sky: {counts}. Dashed: the great circle through the line stars.{grey}",
        ),
        picture(
            figures.proper_motions(stars),
            figures.PANEL_DPI,
            f"Proper motions of the stars of {name}; {_spread(stars.line)}.",
            f"Proper motions, framed on the candidate: {_spread(stars.line)}.",
        ),
        picture(
            figures.colour_magnitude(stars, *labels, absent),
            figures.PANEL_DPI,
            f"Colour–magnitude diagram of the stars of {name}, {plane}, bright stars on top.",
            f"Colour and magnitude: {plane}; {_without_photometry(stars)}.",
        ),
    ]


def _without_photometry(stars: Layers) -> str:
    members = [np.hstack(layer) for layer in zip(stars.beside, stars.line, strict=True)]
    colour, mag = members[-2:]
    n_lacking = int(np.sum(~np.isfinite(colour + mag)))
    return f"{n_lacking} of {len(mag)} stars lack it" if n_lacking else "every star has both"


def _spread(line: Stars) -> str:
    """Median and 16–84 % half-width of the proper motions, in words."""
    if not len(line.ra):
        return "no star on the line"
    low, middle, high = np.percentile([line.pmra, line.pmdec], [16, 50, 84], axis=1)
    half = (high - low) / 2
    pmra, pmdec = (f"{value:.2f}".replace("-", "−") for value in middle)
    return (
        f"line stars at {pmra} ± {half[0]:.2f} in ra (times cos dec) and {pmdec} ± {half[1]:.2f} "
        "mas/yr in dec (median, half of 16–84 %)"
    )
