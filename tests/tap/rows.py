"""Rows for the TAP server of the tests: a simulated sky with the gaps that Gaia's table has.

``python tests/tap/rows.py ROWS.csv [RA DEC RADIUS FRACTION]`` writes them; the columns follow
gaia.rd.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from viamachinae.catalog.release import GAIA_DR3
from viamachinae.config import GalaxyConfig, SimulateQuery
from viamachinae.config.galaxy import GreatCircleTrack, StreamConfig
from viamachinae.simulate.source import SimulatedSky

# The sky of the tests: a rich stream in a thinned galaxy.
SKY = (154.0, 30.0, 12.0, 0.02)
STREAM = StreamConfig(
    name="rich",
    track=GreatCircleTrack(
        kind="great_circle",
        ra=154.0,
        dec=30.0,
        position_angle_deg=80.0,
        pmra=-7.0,
        pmdec=-10.0,
        distance_kpc=8.0,
    ),
    n_stars=500,
    length_deg=20.0,
    width_deg=0.2,
)
# In a real DR3 cone of 2390 stars 16 % have two-parameter solutions, and 1 % no colour.
_ASTROMETRY = ("parallax", "parallax_error", "pmra", "pmra_error", "pmdec", "pmdec_error", "ruwe")
_GAPS = dict.fromkeys(_ASTROMETRY, 0.16) | {"bp_rp": 0.01}


def rows(ra: float, dec: float, radius_deg: float, fraction: float) -> pa.Table:
    """Stars of a disc (deg), sorted by source_id, in the types of the archive; gaps are nulls."""
    query = SimulateQuery(galaxy=GalaxyConfig(fraction=fraction), streams=[STREAM])
    columns = GAIA_DR3.columns
    stars = SimulatedSky(query, seed=11).stars(ra, dec, radius_deg, list(columns))
    chance = np.random.default_rng(12).random((2, len(stars)))
    gaps = {name: chance[int(name == "bp_rp")] < share for name, share in _GAPS.items()}
    return pa.table(
        {
            name: pa.array(np.asarray(stars[name], dtype=due.dtype), mask=gaps.get(name))
            for name, due in columns.items()
        }
    )


def write(path: Path, table: pa.Table) -> None:
    """Write rows for `server.sh`; the digits of a float are as many as bring it back."""
    text = {name: pc.cast(table[name], pa.string()) for name in table.column_names}
    options = pa.csv.WriteOptions(quoting_style="none")
    pa.csv.write_csv(pa.table(text), path, write_options=options)


if __name__ == "__main__":
    sky = tuple(float(word) for word in sys.argv[2:6]) or SKY
    write(Path(sys.argv[1]), rows(*sky))
