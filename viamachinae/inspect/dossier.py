"""The page of one candidate, in the order of doubt: what one must see to accept or reject it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from astropy.table import Row, Table
from numpy.typing import NDArray

from viamachinae.inspect import figures, line_figures
from viamachinae.inspect.columns import Cell, cells, shown_columns
from viamachinae.inspect.figures import Layers, Stars
from viamachinae.inspect.files import own_frame
from viamachinae.inspect.pictures import Picture, counted, picture, render
from viamachinae.inspect.vetting import VERDICTS, Vetting
from viamachinae.inspect.view import LineView

GAIA_PHOTOMETRY = ("bp_rp", "phot_g_mean_mag")
_GAIA_LABELS = (r"$G_\mathrm{BP} - G_\mathrm{RP}$ (mag)", r"$G$ (mag)")
_NO_STARS = Stars(*np.empty((len(Stars._fields), 0)))


@dataclass(frozen=True)
class Candidate:
    """All that a dossier shows.

    Attributes
    ----------
    row : Row
        Of the candidates' table.
    members : Table
        Its stars, with the columns of `exports.MEMBERS`.
    lineage : Table
        Its regions of interest: patch, protostream, protocluster, scan, region, window, sigma.
    view : LineView
        Its line in its best patch.
    background : Table
        Fiducial stars of that patch, drawn in grey; empty where there are none.
    photometry : tuple of str
        The catalogue's columns that the scan took as colour and magnitude. The diagram shows the
        columns `colour` and `mag` of a table or, where it has none, those of these names.
    command : str
        Runs its best patch again.
    run_name : str
        Name of the run.
    verdict : Vetting, optional
        What was said of it last.
    files : sequence of str
        Names of the files beside the page.
    """

    row: Row
    members: Table
    lineage: Table
    view: LineView
    background: Table
    photometry: tuple[str, str]
    command: str
    run_name: str
    verdict: Vetting | None = None
    files: Sequence[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.row["candidate"])


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
        lineage=_lineage_rows(candidate),
        cutflow=candidate.view.cutflow,
        patch=candidate.view.patch.id,
        command=candidate.command,
        files=candidate.files,
        counts=_counts(int(np.sum(line)), int(np.sum(~np.asarray(line)))),
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


_IN_HEADING = {"rank", "candidate", "verdict"}


def _lineage_rows(candidate: Candidate) -> list[dict[str, str]]:
    names = ("patch", "protostream", "protocluster", "scan")
    rows = []
    for row in candidate.lineage:
        edges = {name: f"{row[name]:g}".replace("-", "−") for name in ("region", "window")}
        words = {name: str(row[name]) for name in names}
        rows.append({**words, **edges, "sigma": f"{row['sigma']:.1f}"})
    return rows


def layers(members: Table, background: Table, photometry: tuple[str, str]) -> Layers:
    """The stars of a candidate as the figures take them; arguments as in `Candidate`."""
    on_line = np.asarray(members["on_line"], dtype=bool)
    return Layers(
        _stars(background, photometry) if len(background) else _NO_STARS,
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


def panels(candidate: Candidate) -> list[Picture]:
    """All figures of a candidate, in the order of doubt."""
    stars = layers(candidate.members, candidate.background, candidate.photometry)
    return [*_places(candidate, stars), *_peaks(candidate, stars), *_judges(candidate, stars)]


def _counts(n_line: int, n_beside: int) -> str:
    return f"{counted(n_line, 'line star', 'line stars')}, {n_beside} beside the line"


def _places(candidate: Candidate, stars: Layers) -> list[Picture]:
    name, view = candidate.name, candidate.view
    counts = _counts(len(stars.line.ra), len(stars.beside.ra))
    here = _counts(int(view.on_line.sum()), int((~view.on_line).sum()))
    _, places = own_frame(candidate.members)
    on_line = np.asarray(candidate.members["on_line"], dtype=np.bool_)
    n_grey = len(stars.background.ra)
    grey = f" Grey: {n_grey} fiducial stars of its best patch." if n_grey else ""
    return [
        picture(
            figures.sky(stars),
            figures.PANEL_DPI,
            f"Positions of the stars of {name} in right ascension and declination: {counts}.",
            f"Sky, all patches: {counts}. Dashed: the great circle through the line stars.{grey}",
        ),
        picture(
            line_figures.patch_sky(view),
            figures.PANEL_DPI,
            f"Positions of the stars of {name} in the frame of patch {view.patch.id}: {here}.",
            f"Best patch, {view.patch.id}: {here}. Dashed: the line at θ = {view.theta_deg:.1f}°, "
            f"r = {view.r_deg:.1f}°; dotted: its width.",
        ),
        picture(
            line_figures.stream_sky(places, on_line),
            figures.PANEL_DPI,
            f"Positions of the stars of {name} along and across its great circle.",
            "Its own great-circle frame: along (φ₁) and, stretched, across (φ₂). A stream may "
            "bend; an imprint of the survey follows its scans.",
        ),
    ]


def _peaks(candidate: Candidate, stars: Layers) -> list[Picture]:
    name, view = candidate.name, candidate.view
    seed = view.regions[0]
    peak = float(view.hough.sigma.max())
    edges = f"{seed.region:g} to {seed.region + view.width_masyr:g} mas/yr".replace("-", "−")
    return [
        picture(
            line_figures.hough(view),
            figures.PANEL_DPI,
            f"Line significance of the stars of {name} over angle and offset of the line; the "
            f"peak of {peak:.1f} is circled.",
            f"Hough plane of {counted(len(view.regions), 'star list', 'star lists')} put "
            f"together; circle: the peak, σ_L = {peak:.1f}.",
        ),
        picture(
            line_figures.proper_motion_regions(view),
            figures.PANEL_DPI,
            f"Proper motions of the stars of {name} in the frame of the patch, with the signal "
            f"region in {seed.scan} from {edges}.",
            f"Proper motions in the patch. Shaded: the best signal region, {seed.scan} from "
            f"{edges}; control region: the rest; rectangles: the regions of interest.",
        ),
        picture(
            figures.proper_motions(stars),
            figures.PANEL_DPI,
            f"Proper motions of the stars of {name}; {_spread(stars.line)}.",
            f"Proper motions, ICRS, framed on the candidate: {_spread(stars.line)}.",
        ),
    ]


def _judges(candidate: Candidate, stars: Layers) -> list[Picture]:
    name, view, photometry = candidate.name, candidate.view, candidate.photometry
    is_gaia = photometry == GAIA_PHOTOMETRY
    labels = _GAIA_LABELS if is_gaia else photometry
    absent = "no Gaia photometry" if is_gaia else "no photometry"
    plane = "G against BP − RP" if is_gaia else f"{photometry[1]} against {photometry[0]}"
    n_region = len(view.ratios.log_ratio)
    return [
        picture(
            figures.colour_magnitude(stars, *labels, absent),
            figures.PANEL_DPI,
            f"Colour–magnitude diagram of the stars of {name}, {plane}, bright stars on top.",
            f"Colour and magnitude: {plane}; {_without_photometry(stars)}.",
        ),
        picture(
            line_figures.ratios(view),
            figures.PANEL_DPI,
            f"Distribution of the score of {n_region} stars of the best signal region of {name}.",
            f"ln R of the {n_region} fiducial stars of the best signal region, R being the ratio "
            "of the density there to the one expected from the control region.",
        ),
        picture(
            line_figures.profiles(view),
            figures.PANEL_DPI,
            f"Number of stars of {name} across its line and along it, less the background.",
            "Profiles of the listed stars, on minus off (Poisson errors). A stream is narrow "
            "across (shaded: the width of the line) and long along; a clump is short.",
        ),
    ]


def _without_photometry(stars: Layers) -> str:
    members = [np.hstack(layer) for layer in zip(stars.beside, stars.line, strict=True)]
    colour, mag = members[-2:]
    n_lacking = int(np.sum(~np.isfinite(colour + mag)))
    return f"{n_lacking} of {len(mag)} stars lack it" if n_lacking else "every star has both"


def _spread(line: Stars) -> str:
    """Median and 16–84 % half-width of the proper motions, in words."""
    low, middle, high = np.percentile([line.pmra, line.pmdec], [16, 50, 84], axis=1)
    half = (high - low) / 2
    pmra, pmdec = (f"{value:.2f}".replace("-", "−") for value in middle)
    return (
        f"line stars at {pmra} ± {half[0]:.2f} in ra (times cos dec) and {pmdec} ± {half[1]:.2f} "
        "mas/yr in dec (median, half of 16–84 %)"
    )
