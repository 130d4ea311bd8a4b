"""Compare the simulated sky with real Gaia stars, in numbers and in a figure.

    python workflows/benchmarks/simulated_sky.py FOLDER

FOLDER holds dr3_cone_ra45_dec0_r0.5.parquet (all Gaia DR3 stars within 0.5 deg of ra 45, dec 0)
and gd1_strip_dr2.parquet (Gaia DR2 stars of parallax < 1 with phi1 -55..-45, abs(phi2) < 1 in
the frame of GD-1; needs gala). The figure is that of docs/simulated-sky.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import product
from pathlib import Path

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
import pyarrow.parquet as pq
from astropy.coordinates import Galactic, SkyCoord
from astropy.table import Table
from gala.coordinates import GD1Koposov10

from viamachinae.config import GalaxyConfig, SimulateQuery
from viamachinae.simulate.source import UNITS, SimulatedSky

FIGURE = Path(__file__).parents[2] / "docs" / "figures" / "simulated_sky.png"
PERCENTILES = (5, 16, 50, 84, 95)
# The simulated cone is this many times wider, so that its own noise does not matter.
WIDER = 4
# Errors of DR2 and DR3 over the parallax error of DR3: Gaia science performance.
DR2 = {"parallax": 1.24, "pmra": 1.24 * 1.58, "pmdec": 1.24 * 1.37}
DR3 = {"parallax": 1.0, "pmra": 1.03, "pmdec": 0.89}


def read(path: Path, columns: list[str]) -> Table:
    """Columns of a Parquet file as floats, NaN where a value is missing."""
    stored = pq.read_table(path, columns=columns)
    return Table({n: stored[n].to_numpy(zero_copy_only=False).astype(float) for n in columns})


def with_dr2_errors(stars: Table) -> Table:
    """The same stars with errors grown from those of DR3 to those of DR2."""
    rng = np.random.default_rng(0)
    stars = stars.copy()
    for name, ratio in DR2.items():
        grown = np.sqrt(ratio**2 - DR3[name] ** 2) * stars["parallax_error"]
        stars[name] += grown * rng.standard_normal(len(stars))
    return stars


def strip(max_mag: float) -> Table:
    """The strip along GD-1 as it is simulated, with the errors of DR2."""
    middle = SkyCoord(phi1=-50 * u.deg, phi2=0 * u.deg, frame=GD1Koposov10()).icrs
    sky = SimulatedSky(SimulateQuery(galaxy=GalaxyConfig(max_mag=max_mag)), seed=1)
    stars = with_dr2_errors(sky.stars(middle.ra.deg, middle.dec.deg, 5.2, list(UNITS)))
    place = SkyCoord(stars["ra"], stars["dec"]).transform_to(GD1Koposov10())
    phi1, phi2 = place.phi1.wrap_at(180 * u.deg).deg, place.phi2.deg
    inside = (np.abs(phi1 + 50) < 5) & (np.abs(phi2) < 1) & (stars["parallax"] < 1)
    return stars[inside]


def percentiles(real: Table, simulated: Table, columns: list[str]) -> list[str]:
    """Percentiles of columns, two lines a column."""
    lines = [f"percentiles {PERCENTILES}"]
    for name in columns:
        for label, table in (("real", real), ("simulated", simulated)):
            values = np.nanpercentile(np.asarray(table[name]), PERCENTILES)
            lines.append(f"  {name:10s} {label:10s}" + "".join(f"{v:8.2f}" for v in values))
    return lines


def patches() -> list[str]:
    """Expected stars of 15 deg patches, and the time that drawing one takes."""
    sky, lines = SimulatedSky(SimulateQuery(), seed=1), []
    for lon, lat in product((60, 120, 180), (35, 50, 70)):
        centre = SkyCoord(lon * u.deg, lat * u.deg, frame=Galactic()).icrs
        count = sky.count(centre.ra.deg, centre.dec.deg, 15)
        lines.append(f"  l {lon} b {lat}: {count / 1e6:.2f} million stars within 15 deg")
    centre = SkyCoord(180 * u.deg, 50 * u.deg, frame=Galactic()).icrs
    start = time.perf_counter()
    stars = sky.stars(centre.ra.deg, centre.dec.deg, 15, list(UNITS))
    seconds = time.perf_counter() - start
    return [*lines, f"  drawn at l 180 b 50: {len(stars)} in {seconds:.1f} s"]


def counts(cone: Table, wide: Table) -> list[str]:
    """Numbers of stars, in all and by magnitude."""
    edges = np.array([*range(10, 20), 20.5])
    real = np.histogram(cone["phot_g_mean_mag"], edges)[0]
    simulated = np.histogram(wide["phot_g_mean_mag"], edges)[0] / WIDER**2
    return [
        f"cone: real {len(cone)}, simulated {len(wide) / WIDER**2:.0f}",
        "edges     " + "".join(f"{edge:8.1f}" for edge in edges),
        "real      " + "".join(f"{count:8d}" for count in real),
        "simulated " + "".join(f"{count:8.0f}" for count in simulated),
    ]


def draw(cone: Table, wide: Table, real_strip: Table, simulated_strip: Table) -> None:
    """Six panels: counts, colours, colour-magnitude diagrams, proper motions."""
    figure, axes = plt.subplots(2, 3, figsize=(12, 7.4), layout="constrained")
    share = 1 / WIDER**2
    panels = (
        (axes[0, 0], "phot_g_mean_mag", np.arange(10, 20.6, 0.5), "G (mag)"),
        (axes[0, 1], "bp_rp", np.arange(0, 4.01, 0.1), "BP − RP (mag)"),
        (axes[1, 0], "pmra", np.arange(-40, 61, 2.0), "pmra (mas/yr)"),
        (axes[1, 1], "pmdec", np.arange(-60, 31, 2.0), "pmdec (mas/yr)"),
    )
    for axis, name, bins, label in panels:
        axis.hist(wide[name], bins, weights=np.full(len(wide), share), color="0.8",
                  label="simulated")  # fmt: skip
        counts, _ = np.histogram(cone[name], bins)
        middles = (bins[1:] + bins[:-1]) / 2
        axis.errorbar(middles, counts, np.sqrt(counts), fmt="k.", ms=4, lw=1, label="Gaia DR3")
        axis.set(xlabel=label, ylabel="stars per bin")
    axes[0, 0].set(yscale="log", title="cone at (45°, 0°), r = 0.5°, G < 20.5")
    axes[0, 0].legend(frameon=False)
    few = wide[:: WIDER**2]
    axes[0, 2].plot(few["bp_rp"], few["phot_g_mean_mag"], ".", color="0.6", ms=3)
    axes[0, 2].plot(cone["bp_rp"], cone["phot_g_mean_mag"], "k.", ms=1.5)
    axes[0, 2].set(xlim=(-0.5, 4.5), ylim=(20.6, 10), xlabel="BP − RP (mag)", ylabel="G (mag)",
                   title="grey simulated, black Gaia DR3")  # fmt: skip
    bins = np.arange(-40, 31, 1.0)
    for name, colour in (("pmra", "C0"), ("pmdec", "C1")):
        axes[1, 2].hist(simulated_strip[name], bins, density=True, color=colour, alpha=0.3,
                        label=f"{name}, simulated")  # fmt: skip
        axes[1, 2].hist(real_strip[name], bins, density=True, color=colour, histtype="step",
                        label=f"{name}, Gaia DR2")  # fmt: skip
    axes[1, 2].set(xlabel="proper motion (mas/yr)", ylabel="share per mas/yr",
                   title="strip along GD-1, parallax < 1 mas")  # fmt: skip
    axes[1, 2].legend(frameon=False, fontsize=8)
    FIGURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(FIGURE, dpi=110)


def main() -> None:
    """Compare the cone and the strip, count patches, draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with the two Parquet files")
    folder = parser.parse_args().folder
    names = ["phot_g_mean_mag", "bp_rp", "pmra", "pmdec", "parallax", "ruwe"]
    cone = read(folder / "dr3_cone_ra45_dec0_r0.5.parquet", names)
    cone = cone[cone["phot_g_mean_mag"] < 20.5]
    wide = SimulatedSky(SimulateQuery(), seed=1).stars(45, 0, 0.5 * WIDER, list(UNITS))
    real_strip = read(folder / "gd1_strip_dr2.parquet", ["pmra", "pmdec", "parallax"])
    simulated_strip = strip(21.0)
    bright = simulated_strip[simulated_strip["phot_g_mean_mag"] < 20.5]
    lines = [
        *counts(cone, wide),
        *percentiles(cone, wide, names[1:]),
        f"strip: real {len(real_strip)}, simulated {len(simulated_strip)} to G = 21, "
        f"{len(bright)} of them to G = 20.5",
        "to G = 21:",
        *percentiles(real_strip, simulated_strip, ["pmra", "pmdec", "parallax"]),
        "to G = 20.5:",
        *percentiles(real_strip, bright, ["pmra", "pmdec", "parallax"]),
        *patches(),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    draw(cone, wide, real_strip, simulated_strip)


if __name__ == "__main__":
    main()
