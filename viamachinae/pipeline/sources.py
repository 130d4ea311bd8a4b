"""The source of stars that a configuration names, and the dust before them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.table import Table, vstack

from viamachinae.catalog.release import RELEASES
from viamachinae.config import ArchiveQuery, FilesQuery, LakeQuery, ScanConfig
from viamachinae.dust import map_files
from viamachinae.errors import BadInputError
from viamachinae.preprocess.extinction import check_extinction
from viamachinae.preprocess.patch import needed_columns
from viamachinae.preprocess.photometry import photometric_columns
from viamachinae.query.archive import ArchiveSource
from viamachinae.query.files import FilesSource
from viamachinae.query.lake.source import LakeSource
from viamachinae.query.source import Source
from viamachinae.simulate.source import SimulatedSky
from viamachinae.sky import Patch
from viamachinae.store.files import content_hash, file_hash
from viamachinae.validate.shuffled_sky import Shuffle, ShuffledSky


def open_source(config: ScanConfig) -> Source:
    """Open the source of stars; that of a null sky may give their positions out anew.

    Raises
    ------
    BadInputError
        If it cannot be read.
    """
    nulls, names = config.nulls, photometric_columns(config.preprocess)
    if nulls.draw is None or nulls.kind == "simulated":
        return _open(config)
    how = Shuffle(
        nulls.cells,
        nulls.kind == "spread",
        config.regions.width_masyr,
        names["colour"],
        names["mag"],
        config.seed,
        nulls.draw,
    )
    return ShuffledSky(_open(config), how)


def _open(config: ScanConfig) -> Source:
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


def checked_source(config: ScanConfig) -> Source:
    """Open the source of stars, and find out whether all can be had that a scan needs.

    Raises
    ------
    BadInputError
        If the source cannot be read or lacks a column, or the map of E(B-V) cannot be read.
    """
    source = open_source(config)
    needed_columns(config.preprocess, source.columns(), source.name)
    check_extinction(config.preprocess, config.query.release)
    return source


def stars_of_patches(source: Source, patches: Sequence[Patch], columns: Sequence[str]) -> Table:
    """The stars of patches, each once and sorted by ``source_id``, which is one of the columns."""
    discs = [source.stars(p.ra, p.dec, p.radius_deg, columns) for p in patches]
    stars = vstack(discs, join_type="exact")
    _, first = np.unique(stars["source_id"], return_index=True)
    return stars[first]


def input_fingerprint(config: ScanConfig, source: Source) -> str:
    """Hash of all that decides the stars of a patch: what the source gives, and the map of E(B-V).

    Raises
    ------
    BadInputError
        If the source or the map cannot be read.
    """
    maps = map_files(config.preprocess.ebv)
    if not maps:
        return source.fingerprint()
    try:
        return content_hash([source.fingerprint(), *map(file_hash, maps)])
    except OSError as error:
        raise BadInputError(
            f"{error.filename}: cannot be read ({error.strerror}); preprocess.ebv must name the "
            "map's files"
        ) from None
