"""GD-1 in real Gaia DR2 stars: with colour, without, and with the stream taken apart.

Run as ``python workflows/benchmarks/gd1.py FILE OUT``, FILE being the proper-motion box along
GD-1 with the columns phi1, phi2 and is_pwb18_member (Price-Whelan & Bonaca 2018), which serve for
checking alone. Needs the extra `orbits` for the frame of the stream.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.coordinates import ICRS
from astropy.table import Table
from gala.coordinates import GD1Koposov10

from viamachinae.options import read_config
from viamachinae.pipeline.scan import scan
from viamachinae.store.files import read_table, write_table

CONFIG = Path(__file__).parents[1] / "config" / "gd1.yaml"
WITHOUT_COLOUR = (
    "preprocess.features=[phi, lam, pm]",
    "preprocess.fiducial.max_mag=null",
    "preprocess.fiducial.min_colour=null",
    "preprocess.fiducial.max_colour=null",
)


def apart(path: Path, out: Path, how: str, seed: int) -> Path:
    """Write the stars with the stream taken apart.

    ``shuffled`` deals phi2 out anew among all stars, which leaves a twentieth of them about
    phi2 = 0, at all proper motions; ``uniform`` draws phi2 evenly over the strip.
    """
    table = pq.read_table(path)
    given, draw = table["phi2"].to_numpy(), np.random.default_rng(seed)
    if how == "shuffled":
        phi2 = draw.permutation(given)
    else:
        phi2 = draw.uniform(given.min(), given.max(), len(given))
    stream = GD1Koposov10(phi1=table["phi1"].to_numpy() * u.deg, phi2=phi2 * u.deg)
    sky = stream.transform_to(ICRS())
    for name, values in (("ra", sky.ra.deg), ("dec", sky.dec.deg), ("phi2", phi2)):
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    write_table(out, table)
    return out


def run(path: Path, out: Path, overrides: tuple[str, ...]) -> None:
    """Scan and print each candidate beside the labels."""
    config = read_config(CONFIG, [f"query.path={path}", *overrides])
    scan(config, out)
    truth = pq.read_table(path, columns=["source_id", "phi1", "phi2", "is_pwb18_member"])
    labels = {name: truth[name].to_numpy(zero_copy_only=False) for name in truth.column_names}
    order = np.argsort(labels["source_id"])
    labels = {name: values[order] for name, values in labels.items()}
    candidates = Table.read(out / "candidates.ecsv")
    members, lineage = read_table(out / "members.parquet"), read_table(out / "lineage.parquet")
    print(f"{out.name}: {len(candidates)} candidates")
    for row in candidates:
        line = members[(members["candidate"] == row["candidate"]) & members["on_line"]]
        star = np.searchsorted(labels["source_id"], line["source_id"])
        phi1, phi2 = labels["phi1"][star], labels["phi2"][star]
        member = labels["is_pwb18_member"][star]
        patches = dict.fromkeys(lineage["patch"][lineage["candidate"] == row["candidate"]])
        print(
            f"  {row['rank']}. {row['candidate']}: sigma {row['sigma']:.1f}, {len(line)} line "
            f"stars, phi1 {phi1.min():.0f} to {phi1.max():.0f}; labelled {member.mean():.0%}, "
            f"within 0.6 deg of phi2 = 0 {np.mean(np.abs(phi2) < 0.6):.0%}; "
            f"{member.sum()} of {labels['is_pwb18_member'].sum()} labelled stars; "
            f"{len(patches)} patches: {', '.join(patches)}"
        )
    best = {
        path.parent.name: max(pq.read_table(path)["sigma"].to_pylist(), default=float("nan"))
        for path in sorted(out.glob("patches/*/lines.parquet"))
    }
    print("  best region of interest:", ", ".join(f"{p} {s:.1f}" for p, s in best.items()))


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    run(given.file, given.out / "colour", ())
    run(given.file, given.out / "positions", WITHOUT_COLOUR)
    for how in ("shuffled", "uniform"):
        stars = apart(given.file, given.out / f"{how}.parquet", how, seed=0)
        run(stars, given.out / f"{how}-colour", ())
        run(stars, given.out / f"{how}-positions", WITHOUT_COLOUR)


if __name__ == "__main__":
    sys.exit(main())
