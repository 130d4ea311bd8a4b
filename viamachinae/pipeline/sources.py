"""The source of stars that a configuration names."""

from __future__ import annotations

from viamachinae.catalog.release import RELEASES
from viamachinae.config import ArchiveQuery, FilesQuery, LakeQuery, ScanConfig
from viamachinae.preprocess.patch import needed_columns
from viamachinae.preprocess.photometry import photometric_columns
from viamachinae.query.archive import ArchiveSource
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
    if isinstance(config.query, ArchiveQuery):
        return open_archive(config, config.query)
    return SimulatedSky(config.query, config.seed)


def open_archive(config: ScanConfig, query: ArchiveQuery) -> ArchiveSource:
    """Open an archive for the columns, and the stars, that a scan can use."""
    held = frozenset(RELEASES[query.release].columns)
    columns = needed_columns(config.preprocess, held, f"the table of {query.release}")
    photometry = photometric_columns(config.preprocess)
    used = {photometry[feature] for feature in config.preprocess.features if feature in photometry}
    return ArchiveSource(query, columns, {"pmra", "pmdec", *used})
