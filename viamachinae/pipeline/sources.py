"""The source of stars that a configuration names."""

from __future__ import annotations

from viamachinae.config import FilesQuery, LakeQuery, ScanConfig
from viamachinae.query.files import FilesSource
from viamachinae.query.lake.source import LakeSource
from viamachinae.query.source import Source
from viamachinae.simulate.source import SimulatedSky


def open_source(config: ScanConfig) -> Source:
    """Open the source of stars.

    Raises
    ------
    BadInputError
        If it cannot be read.
    """
    if isinstance(config.query, FilesQuery):
        return FilesSource(config.query)
    if isinstance(config.query, LakeQuery):
        return LakeSource(config.query)
    return SimulatedSky(config.query, config.seed)
