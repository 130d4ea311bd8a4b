"""Make viamachinae/catalog/data/ridge_lines.ecsv from a file of PARSEC isochrones in Gaia's bands.

    python workflows/benchmarks/ridge_lines.py parsec_isochrones_gaia.npz

The input holds one row per isochrone point: Z, logage, Mini (solar masses), label (0 up to the
tip of the giant branch, 4 core helium burning), G, BP and RP (absolute, mag). The isochrones are
those of Bressan et al. 2012 (MNRAS 427, 127) and Marigo et al. 2017 (ApJ 835, 77). The table made
here holds few points of each, at the same stages of evolution, so that one may interpolate in
metallicity and age from point to point.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.table import Table, vstack
from numpy.typing import NDArray

Array = NDArray[np.float64]

Z_SUN = 0.0152  # Bressan et al. 2012
METALS = (0.0001, 0.0002, 0.0004, 0.0006, 0.001, 0.002, 0.004, 0.007, 0.014, 0.03)
LOG_AGES = (9.3, 9.6, 9.8, 10.0, 10.1)
MAIN_SEQUENCE, GIANT_BRANCH, HELIUM_BURNING = 24, 14, 8
OUT = Path(__file__).parents[2] / "viamachinae" / "catalog" / "data" / "ridge_lines.ecsv"


def along(mass: Array, mag: Array, colour: Array, n_points: int) -> tuple[Array, Array, Array]:
    """A branch at `n_points` equal steps of length in the (mag, 3 x colour) plane."""
    step = np.hypot(np.diff(mag), 3 * np.diff(colour))
    length = np.concatenate([[0.0], np.cumsum(step)])
    at = np.linspace(0, length[-1], n_points)
    return np.interp(at, length, mass), np.interp(at, length, mag), np.interp(at, length, colour)


def ridge_line(points: Table) -> Table:
    """One isochrone on common evolutionary stages: dwarfs, giants, helium burners."""
    points = points[points["label"] < 8]
    mass, mag = np.asarray(points["Mini"]), np.asarray(points["G"], dtype=float)
    colour = np.asarray(points["BP"] - points["RP"], dtype=float)
    first_ascent = points["label"] == 0
    turnoff = int(np.argmin(np.where(first_ascent & (mag > 0), colour, np.inf)))
    branches = (
        (np.arange(len(mass)) <= turnoff, MAIN_SEQUENCE),
        (first_ascent & (np.arange(len(mass)) >= turnoff), GIANT_BRANCH),
        (points["label"] == 4, HELIUM_BURNING),
    )
    parts = [along(mass[on], mag[on], colour[on], n) for on, n in branches]
    table = Table(
        {
            name: np.concatenate(column)
            for name, column in zip(
                ("initial_mass", "g_abs", "bp_rp"), zip(*parts, strict=True), strict=True
            )
        }
    )
    table["branch"] = np.repeat([0, 1, 2], [len(part[0]) for part in parts]).astype(np.int8)
    return table


def nearest(values: Array, wanted: float) -> float:
    """The value of the grid that lies nearest to the wanted one."""
    return float(values[np.argmin(np.abs(values - wanted))])


def make(source: Path) -> Table:
    """The whole table, sorted by metallicity, age and stage."""
    with np.load(source, allow_pickle=False) as stored:
        columns = ("Z", "logage", "Mini", "label", "G", "BP", "RP")
        grid = Table({name: stored[name] for name in columns})
    metals, ages = np.unique(grid["Z"]), np.unique(grid["logage"])
    lines = []
    for metal in (nearest(metals, wanted) for wanted in METALS):
        for log_age in (nearest(ages, wanted) for wanted in LOG_AGES):
            line = ridge_line(grid[(grid["Z"] == metal) & (grid["logage"] == log_age)])
            line.add_column(np.full(len(line), 10 ** (log_age - 9)), name="age", index=0)
            line.add_column(np.full(len(line), np.log10(metal / Z_SUN)), name="feh", index=0)
            lines.append(line)
    table = vstack(lines)
    for name, unit, decimals, text in (
        ("feh", None, 3, "log10(Z / 0.0152), scaled solar"),
        ("age", u.Gyr, 2, "age of the isochrone"),
        ("initial_mass", u.Msun, 7, "initial mass of the star"),
        ("g_abs", u.mag, 3, "absolute magnitude in Gaia G"),
        ("bp_rp", u.mag, 3, "Gaia BP - RP"),
        ("branch", None, 0, "0 main sequence, 1 turnoff to giant tip, 2 helium burning"),
    ):
        table[name] = np.round(table[name], decimals)
        table[name].unit, table[name].description = unit, text
    table.meta = {
        "content": "colour-magnitude ridge lines, thinned to common evolutionary stages",
        "references": [
            "isochrones: Bressan et al. 2012, MNRAS 427, 127 (PARSEC)",
            "isochrones: Marigo et al. 2017, ApJ 835, 77",
        ],
        "made_by": "workflows/benchmarks/ridge_lines.py",
    }
    return table


def main() -> None:
    """Read the isochrones named on the command line and write the table into the package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("isochrones", type=Path, help="npz file of PARSEC isochrones")
    make(parser.parse_args().isochrones).write(OUT, format="ascii.ecsv", overwrite=True)


if __name__ == "__main__":
    main()
