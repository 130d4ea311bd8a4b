"""A simulated sky as a file, for whoever wants to run on it elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.table import Table, vstack

from viamachinae.config import ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.pipeline.sources import open_source
from viamachinae.simulate.source import SimulatedSky
from viamachinae.sky import tile
from viamachinae.store.files import write_table


def simulate(config: ScanConfig, out: Path) -> Path:
    """Write the stars of all patches, each once, and the truth beside them.

    Returns
    -------
    Path
        The file of the injected streams.

    Raises
    ------
    BadInputError
        If the configuration does not simulate, or `out` is no Parquet file.
    """
    sky = open_source(config)
    if not isinstance(sky, SimulatedSky):
        raise BadInputError("query.source: must be simulate for the verb `simulate`")
    if out.suffix != ".parquet":
        raise BadInputError(f"{out}: simulated stars are written as Parquet; end it in .parquet")
    columns = sorted(sky.columns())
    discs = [sky.stars(p.ra, p.dec, p.radius_deg, columns) for p in tile(config.sky)]
    stars: Table = vstack(discs, join_type="exact")
    _, first = np.unique(stars["source_id"], return_index=True)
    write_table(out, stars[first])
    truth = out.with_suffix(".truth.parquet")
    write_table(truth, sky.truth())
    return truth
