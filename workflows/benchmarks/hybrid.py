"""How pure the best region of interest is: real GD-1 stars in a mock background.

Run as ``python workflows/benchmarks/hybrid.py FILE OUT``, FILE being a Parquet patch within
10 deg of (ra, dec) = (148.6, 24.2) whose column ``label`` is 1 for true members; the label
serves for checking alone.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from viamachinae.link.hough import hough_plane
from viamachinae.link.roi import regions_of_interest
from viamachinae.options import read_config
from viamachinae.pipeline.scan import scan
from viamachinae.sky import tile
from viamachinae.store.files import read_arrow, read_table
from viamachinae.store.run import RunFolder

CONFIG = Path(__file__).parents[1] / "config" / "own_catalogue.yaml"
# One scan, with the signal regions about GD-1's proper motion here.
OVERRIDES = ("regions.scans=[pm_lam]", "regions.range_masyr=[-18, -8]")


def main() -> None:
    """Scan and print the purity of the regions of interest of highest line significance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    given = parser.parse_args()
    config = read_config(CONFIG, [f"query.path={given.file}", *OVERRIDES, *given.overrides])
    scan(config, given.out)
    run, patch = RunFolder(given.out), tile(config.sky)[0]
    stars = read_table(run.stars(patch.id))
    # The file has no source_id: it is the number of the row.
    label = pq.read_table(given.file, columns=["label"])["label"].to_numpy() == 1
    fiducial = stars[stars["fiducial"]]
    n_members = int(label[fiducial["source_id"]].sum())
    print(f"{config.score.method}: {len(fiducial)} fiducial stars, {n_members} members")
    rois = regions_of_interest(
        stars,
        {name: read_arrow(run.scores(patch.id, name)) for name in config.regions.scans},
        config.link,
        hough_plane(config.link.lines, patch.evaluation_radius_deg),
    )
    for roi in np.argsort(rois.lines["sigma"].to_numpy())[::-1][:10]:
        line = {name: rois.lines[name][int(roi)].as_py() for name in ("region", "window", "sigma")}
        entries = rois.entries(np.array([roi]))
        member, on_line = label[rois.source_id[entries]], rois.on_line[entries]
        print(
            f"pm_lam from {line['region']:g}, pm_phi from {line['window']:g} mas/yr: sigma_L "
            f"{line['sigma']:.1f}, purity {member.mean():.0%} of {len(member)} stars, "
            f"{member[on_line].mean():.0%} of {on_line.sum()} on the line, completeness "
            f"{member.sum() / n_members:.0%}"
        )


if __name__ == "__main__":
    sys.exit(main())
