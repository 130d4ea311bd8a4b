"""A simulated sky as a file, for whoever wants to run on it elsewhere."""

from __future__ import annotations

from pathlib import Path

from viamachinae.config import ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.pipeline.sources import open_source, stars_of_patches
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
    write_table(out, stars_of_patches(sky, tile(config.sky), columns))
    truth = out.with_suffix(".truth.parquet")
    write_table(truth, sky.truth())
    return truth
