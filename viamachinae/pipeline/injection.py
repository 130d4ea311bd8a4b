"""Injecting streams into the catalogue of a configuration, and writing it as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.table import Table, vstack

from viamachinae.config import InjectedStreams, ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.pipeline.sources import checked_source, stars_of_patches
from viamachinae.preprocess.patch import needed_columns
from viamachinae.query.source import Source
from viamachinae.score.seeds import seed_sequence
from viamachinae.simulate.source import UNITS
from viamachinae.sky import Patch, tile
from viamachinae.store.files import write_table, write_text
from viamachinae.validate.footprint import footprint_of
from viamachinae.validate.injection import Injection, draw_streams_at_random
from viamachinae.validate.injection import inject as inject_streams
from viamachinae.validate.truth import TrueStream, true_streams, truth_text

# The error model goes no fainter.
FAINTEST_MAG = 21.0


class Written(NamedTuple):
    """The files that `inject` wrote, and the streams in them."""

    stars: Path
    truth: Path
    streams: list[TrueStream]


def inject(config: ScanConfig, out: Path) -> Written:
    """Write the stars of all patches, each once, with streams among them, and the truth apart.

    Returns
    -------
    Written
        The truth stands beside `out`, with the ending ``.truth.ecsv``.

    Raises
    ------
    BadInputError
        If `out` is no Parquet file, the source cannot be used, or a stream cannot be injected.
    """
    if out.suffix != ".parquet":
        raise BadInputError(f"{out}: stars are written as Parquet; end it in .parquet")
    source, patches = checked_source(config), tile(config.sky)
    stars = stars_of(config, source, patches)
    options = config.validation
    names = [f"injected-{number + 1}" for number in range(options.n_streams)]
    rng = np.random.default_rng(seed_sequence(config.seed, "inject"))
    injection = injected(config, stars, patches, options.streams, names, rng)
    truth = out.with_suffix(".truth.ecsv")
    streams = true_streams(injection)
    write_text(truth, truth_text([injection.truth], streams, {"seed": config.seed}))
    write_table(out, vstack([stars, as_table(injection, stars)], join_type="exact"))
    return Written(out, truth, streams)


def stars_of(config: ScanConfig, source: Source, patches: Sequence[Patch]) -> Table:
    """The stars of patches, each once, in the columns that an injected star has.

    Returns
    -------
    astropy.table.Table
        Sorted by ``source_id``.

    Raises
    ------
    BadInputError
        If the configuration needs a column that an injected star has not.
    """
    needed = needed_columns(config.preprocess, source.columns(), source.name)
    unknown = sorted(set(needed) - set(UNITS))
    if unknown or config.preprocess.dereddens:
        what = f"have no column {', '.join(unknown)}" if unknown else "are drawn without dust"
        raise BadInputError(
            f"preprocess: injected stars {what}, which the configuration asks for; take colour and "
            "magnitude from bp_rp and phot_g_mean_mag and set ebv to {source: none}"
        )
    columns = [name for name in UNITS if name in source.columns()]
    return stars_of_patches(source, patches, columns)


def injected(
    config: ScanConfig,
    stars: Table,
    patches: Sequence[Patch],
    options: InjectedStreams,
    names: Sequence[str],
    rng: np.random.Generator,
) -> Injection:
    """Streams injected into stars; `names` are those of the streams, none of them twice.

    Raises
    ------
    BadInputError
        If a stream cannot be injected.
    """
    ra, dec = (np.asarray(stars[name], dtype=np.float64) for name in ("ra", "dec"))
    footprint = footprint_of(ra, dec, patches, config.preprocess.masks)
    streams = draw_streams_at_random(options, names, footprint, rng)
    held = np.asarray(stars["source_id"], dtype=np.int64)
    limit = _limit(stars, options)
    return inject_streams(streams, footprint, held, limit, config.query.release, rng)


def _limit(stars: Table, options: InjectedStreams) -> float:
    """Faintest G injected."""
    if options.max_mag is not None:
        return options.max_mag
    known = "phot_g_mean_mag" in stars.colnames
    g_mag = np.asarray(stars["phot_g_mean_mag"] if known else [], dtype=np.float64)
    if not np.isfinite(g_mag).any():
        raise BadInputError(
            "validation.streams.max_mag: is needed, for the catalogue has no G that would tell "
            "how faint a star it holds"
        )
    return min(float(np.nanmax(g_mag)), FAINTEST_MAG)


def as_table(injection: Injection, stars: Table) -> Table:
    """The injected stars in the columns and units of a catalogue's."""
    table = Table()
    for name in stars.colnames:
        table[name] = injection.columns[name]
        table[name].unit = stars[name].unit
    return table
