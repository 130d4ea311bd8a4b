"""Make the tables of viamachinae/catalog/data from two installed packages.

    pip install --no-deps galpy==1.12.1 galstreams==1.2.1
    python catalogs/make.py

Neither package is imported: their data files are read where they are installed. README.md beside
this script says what comes from where, and under which terms.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table
from numpy.typing import NDArray

OUT = Path(__file__).parents[1] / "viamachinae" / "catalog" / "data"
CLOUDS = {"LMC", "SMC"}
# Step between nodes of a track, deg: at most 1 with the raw tracks' own steps, up to 0.25.
STEP_DEG = 0.75
# Nearer than this, kpc, a track's distance is a polynomial run beyond its stars.
MIN_DISTANCE_KPC = 0.5
# Ibata et al. 2024, ApJ 967, 89: its tracks are there, its entry in the bibliography is not.
NOT_CITED = {"ibata2024": "arXiv:2311.17202"}
# Torrealba et al. 2019, MNRAS 488, 2743: 1.27 deg. Found after galstreams made its list.
HALF_LIGHT = {"AntliaII": 1.27}
MASYR = u.mas / u.yr
UNITS = {
    "ra": u.deg,
    "dec": u.deg,
    "distance": u.kpc,
    "pmra": MASYR,
    "pmdec": MASYR,
    "half_light": u.deg,
    "width": u.deg,
}
DESCRIPTIONS = {
    "name": "name of the object",
    "kind": "cluster (globular), dwarf (galaxy) or cloud (Magellanic)",
    "ra": "right ascension, ICRS",
    "dec": "declination, ICRS",
    "distance": "distance from the Sun; NaN where not known",
    "pmra": "proper motion in ra times cos(dec); NaN where not known",
    "pmdec": "proper motion in dec; NaN where not known",
    "half_light": "half-light radius; NaN where the source has none",
    "track": "name of the track: stream, then first author and year of its paper",
    "width": "Gaussian width across the track; NaN where the source has none",
    "has_pm": "whether the proper motions of the track are measured",
    "preferred": "whether it is the track that galstreams takes for the stream",
    "reference": "where the numbers are from",
}


def installed(package: str) -> Path:
    """The folder of an installed package."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"{package} is not installed; see the head of {__file__}")
    return Path(next(iter(spec.submodule_search_locations)))


def finished(table: Table, content: str, packages: list[str], decimals: int = 4) -> Table:
    """The table with rounded numbers, units, descriptions and its origin."""
    for name in table.colnames:
        column = table[name]
        if column.dtype.kind == "f":
            digits = 2 if name in ("distance", "width") else decimals
            table[name] = np.round(np.asarray(column), digits)
        table[name].unit = UNITS.get(name)
        table[name].description = DESCRIPTIONS[name]
    table.meta = {
        "content": content,
        "made_by": "catalogs/make.py",
        "made_from": [f"{package} {version(package)}" for package in packages],
        "terms": "BSD-3-Clause, see catalogs/README.md",
    }
    return table


def spaced(name: str) -> str:
    """``NGC5904`` as ``NGC 5904``, ``UrsaMajorII`` as ``Ursa Major II``."""
    name = re.sub(r"^(ESO\d{3})(\d{2})$", r"\1-\2", name)
    name = re.sub(r"(?<=[a-z])(?=[A-Z\d])", " ", name)
    return re.sub(r"^(NGC|IC|BH|HP|FSR|ESO|AM|E|M|UKS|VVVCL|47)(?=\d|Tuc)", r"\1 ", name)


def half_light_radii(where: SkyCoord, folder: Path) -> NDArray[np.float64]:
    """Half-light radii in deg of the nearest satellites within 1.2 deg, NaN where there is none.

    So far apart lie the centres that different authors give for the Magellanic Clouds.
    """
    listed = Table.read(folder / "lib" / "mw_satellites_2018.csv", format="ascii.csv", comment="#")
    places = SkyCoord(listed["GLON"] * u.deg, listed["GLAT"] * u.deg, frame="galactic").icrs
    radius = np.ma.asarray(listed["rh_arcmin"], dtype=float).filled(np.nan) / 60
    row, separation, _ = where.match_to_catalog_sky(places)
    return np.where(separation.deg < 1.2, radius[row], np.nan)


def objects() -> Table:
    """Globular clusters, dwarf galaxies and the Magellanic Clouds."""
    path = installed("galpy") / "orbit" / "named_objects.json"
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    lists = data["_collections"]
    kinds = dict.fromkeys(lists["MWglobularclusters"], "cluster")
    kinds |= dict.fromkeys(lists["MWsatellitegalaxies"], "dwarf")
    kinds |= dict.fromkeys(CLOUDS, "cloud")
    names = sorted(kinds, key=lambda name: (kinds[name], name))
    other = {name: alias for alias, name in data["_synonyms"].items() if not alias.isdigit()}
    columns = {
        key: np.array([float(data[name].get(key, np.nan)) for name in names])
        for key in ("ra", "dec", "distance", "pmra", "pmdec")
    }
    where = SkyCoord(columns["ra"] * u.deg, columns["dec"] * u.deg)
    radii = half_light_radii(where, installed("galstreams"))
    radii = np.array([HALF_LIGHT.get(*pair) for pair in zip(names, radii, strict=True)])
    called = [f"{spaced(n)} ({spaced(other[n])})" if n in other else spaced(n) for n in names]
    kind = np.array([kinds[name] for name in names])
    table = Table(
        {
            "name": called,
            "kind": kind,
            **columns,
            "half_light": np.where(kind == "cluster", np.nan, radii),
            "reference": [data[name]["source"].replace(":0", ".0") for name in names],
        }
    )
    content = "globular clusters, dwarf galaxies and the Magellanic Clouds"
    return finished(table, content, ["galpy", "galstreams"])


def papers(folder: Path) -> dict[str, str]:
    """Identifier of each paper that galstreams cites, by its key in lower case."""
    text = (folder / "tracks" / "docs" / "gsrefs.bib").read_text(encoding="utf-8")
    found = dict(NOT_CITED)
    for entry in re.split(r"^@", text, flags=re.MULTILINE)[1:]:
        key = entry.partition("{")[2].partition(",")[0].strip()
        for field, prefix in (("doi", "doi:"), ("eprint", "arXiv:")):
            value = re.search(rf"\b{field}\s*=\s*[{{\"]([^}}\"]+)", entry)
            if value:
                found[key.lower()] = prefix + value[1].removeprefix("https://doi.org/")
                break
    return found


def master_log(folder: Path) -> dict[tuple[str, str], list[str]]:
    """Rows of the list of tracks by stream and key of the paper."""
    rows = (folder / "lib" / "master_log.txt").read_text(encoding="utf-8").splitlines()
    fields = [row.split() for row in rows if row.strip() and not row.startswith("#")]
    return {(row[3], row[4]): row for row in fields}


def known_width(logged: float, summary: Table) -> float:
    """Width of a track in deg: as published, else the spread of its members, else NaN."""
    if logged > 0:
        return logged
    measured = float(summary["width_phi2"][0])
    return measured if measured > 0.02 else np.nan


def thinned(raw: Table) -> Table:
    """Nodes at most 1 deg apart along a track, the ends among them."""
    at = SkyCoord(raw["ra"], raw["dec"])
    length = np.concatenate([[0.0], np.cumsum(at[1:].separation(at[:-1]).deg)])
    steps = np.linspace(0, length[-1], max(2, int(np.ceil(length[-1] / STEP_DEG)) + 1))
    return raw[np.minimum(np.searchsorted(length, steps), len(raw) - 1)]


def stream(path: Path, log: list[str], cited: dict[str, str]) -> tuple[dict[str, Any], Table]:
    """The row of a track, and its nodes."""
    summary = Table.read(path.with_suffix(".summary.ecsv"))
    # Flags of what was measured: track, distance, proper motion, radial velocity.
    flags = str(summary["InfoFlags"][0])
    nodes = thinned(Table.read(path))
    # Where the flag is 0 the tracks hold zeros, or numbers that belong to no measurement.
    has_pm = flags[2] != "0"
    distance = np.asarray(nodes["distance"], dtype=float)
    # Some tracks carry a distance of 1 kpc all along: a placeholder.
    if flags[1] == "0" or np.allclose(distance, 1.0):
        distance = np.full(len(nodes), np.nan)
    distance = np.where(distance < MIN_DISTANCE_KPC, np.nan, distance)
    cited_as = log[5].split(",")[0]
    paper = cited_as.partition("_")[0]
    row = {
        "name": log[3].replace("_", " "),
        "track": f"{log[3]} {paper}",
        "width": known_width(float(log[8]), summary),
        "has_pm": has_pm,
        "preferred": log[1] == "1",
        "reference": f"{paper} {cited[cited_as.lower()]}",
    }
    missing = np.full(len(nodes), np.nan)
    table = Table(
        {
            "track": [row["track"]] * len(nodes),
            "ra": np.asarray(nodes["ra"], dtype=float),
            "dec": np.asarray(nodes["dec"], dtype=float),
            "distance": distance,
            "pmra": np.asarray(nodes["pm_ra_cosdec"], dtype=float) if has_pm else missing,
            "pmdec": np.asarray(nodes["pm_dec"], dtype=float) if has_pm else missing,
        }
    )
    return row, table


def streams() -> tuple[Table, Table]:
    """All tracks, and the nodes of all tracks."""
    folder = installed("galstreams")
    log, cited = master_log(folder), papers(folder)
    rows, nodes = [], []
    for path in sorted((folder / "tracks").glob("track.*.ecsv")):
        if path.name.endswith(".summary.ecsv"):
            continue
        name, _, key = path.stem.split(".", 2)[2].rpartition(".")
        row, table = stream(path, log[name, key], cited)
        rows.append(row)
        nodes.append(table)
    table = Table(rows=rows)
    names = nodes[0].colnames
    joined = Table({n: np.concatenate([np.asarray(one[n]) for one in nodes]) for n in names})
    return (
        finished(table, "tracks of known stellar streams", ["galstreams"]),
        finished(joined, "nodes along the tracks of streams.ecsv, in order", ["galstreams"], 3),
    )


def main() -> None:
    """Write all tables."""
    OUT.mkdir(exist_ok=True)
    tracks, nodes = streams()
    for name, table in (("objects", objects()), ("streams", tracks), ("stream_nodes", nodes)):
        path = OUT / f"{name}.ecsv"
        table.write(path, format="ascii.ecsv", overwrite=True)
        print(f"{path.name}: {len(table)} rows, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
