"""Stars of injected streams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from viamachinae.config import GreatCircleTrack, StreamConfig
from viamachinae.errors import BadInputError
from viamachinae.simulate import pixels
from viamachinae.simulate.kinematics import KMS_PER_MASYR_KPC
from viamachinae.simulate.observation import MARGIN_MAG, Columns, Stars, distance_modulus, observe
from viamachinae.simulate.populations import Population
from viamachinae.simulate.tracks import Track, great_circle, orbit

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

# First key of the streams' random streams; the galaxy has its own.
KEY = 1
# Fewest stars proposed in a round, and the rounds after which a stream with almost no star above
# the limit is given up.
MIN_PROPOSED, MAX_ROUNDS = 1000, 200

TRUTH = {
    "ra": (u.deg, "right ascension, ICRS"),
    "dec": (u.deg, "declination, ICRS"),
    "phi1": (u.deg, "angle along the stream from its middle"),
    "phi2": (u.deg, "angle across the stream"),
    "distance_kpc": (u.kpc, "true distance"),
    "pmra": (u.mas / u.yr, "true proper motion in ra times cos(dec)"),
    "pmdec": (u.mas / u.yr, "true proper motion in dec"),
    "phot_g_mean_mag": (u.mag, "true G"),
    "bp_rp": (u.mag, "true BP - RP"),
}


def draw_streams(
    configs: Sequence[StreamConfig], max_mag: float, seed: int
) -> tuple[Columns, Table]:
    """All stars of all streams: what Gaia sees of them, and the truth.

    Each stream depends on the seed and its own name and configuration alone; only the running
    numbers in the ids depend on the streams listed before it.

    Returns
    -------
    columns : dict of str to array of shape (n,)
        The columns of `observation.observe`.
    truth : astropy.table.Table
        As `SimulatedSky.truth` says.
    """
    drawn = [draw_stream(config, max_mag, _generator(seed, config.name)) for config in configs]
    columns = joined_columns([stars.columns for stars in drawn])
    source_id = columns["source_id"] + pixels.STREAM_BIT + np.arange(len(columns["source_id"]))
    table = truth_table(configs, drawn, source_id)
    table.sort("source_id")
    return {**columns, "source_id": source_id}, table


def _generator(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed, KEY, *name.encode()]))


class StreamStars(NamedTuple):
    """The stars of one stream.

    Attributes
    ----------
    columns : dict of str to array of shape (n,)
        The columns of `observation.observe`; ``source_id`` is the star's pixel alone.
    true : array of shape (len(TRUTH), n)
        The values of `TRUTH`, without errors.
    share_observed : float
        Share of the stream's stars above the limit that could be observed at all.
    """

    columns: Columns
    true: Array
    share_observed: float


def draw_stream(
    config: StreamConfig,
    max_mag: float,
    rng: np.random.Generator,
    observable: Callable[[Columns], Bools] | None = None,
    release: str = "gaia_dr3",
) -> StreamStars:
    """Draw exactly `n_stars` stars of a stream that are brighter than the limit and observable.

    Parameters
    ----------
    config : StreamConfig
    max_mag : float
        Faintest measured G, mag.
    rng : numpy.random.Generator
    observable : callable, optional
        Which stars a catalogue can hold, from their measured columns; by default all.
    release : str
        Whose errors are drawn.

    Raises
    ------
    BadInputError
        If almost no star of the stream is bright enough and observable.
    """
    track = _track(config)
    population = Population.mixture(config.feh, config.age_gyr)
    nearest = distance_modulus(track.distance_kpc.min())
    share = float(population.share_to_draw(max_mag + MARGIN_MAG - nearest))
    rounds: list[tuple[Columns, Array]] = []
    n_bright = n_drawn = 0
    for _ in range(MAX_ROUNDS if share > 0 else 0):
        stars, phi = _propose(rng, config, track, population, share)
        columns = observe(rng, stars, release)
        true = np.stack([stars.ra, stars.dec, *phi, *stars[3:]])
        kept = columns["phot_g_mean_mag"] <= max_mag
        n_bright += int(kept.sum())
        if observable is not None:
            kept &= observable(columns)
        rounds.append(({name: c[kept] for name, c in columns.items()}, true[:, kept]))
        n_drawn += int(kept.sum())
        if n_drawn >= config.n_stars:
            break
    else:
        where = "" if observable is None else " in the footprint and outside the masks"
        raise BadInputError(
            f"stream {config.name} has almost no star brighter than G = {max_mag}{where}; bring "
            "it nearer, raise the limit in G or make its gaps smaller"
        )
    columns = joined_columns([part for part, _ in rounds])
    true = np.concatenate([part for _, part in rounds], axis=1)
    n = config.n_stars
    return StreamStars(
        {name: c[:n] for name, c in columns.items()}, true[:, :n], n_drawn / n_bright
    )


def truth_table(
    configs: Sequence[StreamConfig], drawn: Sequence[StreamStars], source_id: Ints
) -> Table:
    """The stars of streams without errors, one after the other.

    Returns
    -------
    astropy.table.Table
        As `SimulatedSky.truth` says, in the order of `source_id`, of shape (n,).
    """
    table = Table({"source_id": source_id})
    table["stream"] = np.repeat(
        [config.name for config in configs], [config.n_stars for config in configs]
    ).astype(str)
    true = np.concatenate([np.zeros((len(TRUTH), 0)), *(stars.true for stars in drawn)], axis=1)
    for i, (name, (unit, description)) in enumerate(TRUTH.items()):
        table[name] = true[i]
        table[name].unit, table[name].description = unit, description
    return table


def joined_columns(parts: Sequence[Columns]) -> Columns:
    """Columns of `observation.observe` put one after the other; of no parts, no stars."""
    nothing = _nothing()
    return {name: np.concatenate([nothing[name], *(p[name] for p in parts)]) for name in nothing}


def _nothing() -> Columns:
    """A draw of no stars, so that a sky without streams has the same columns."""
    stars = Stars(np.zeros(0, dtype=np.int64), *[np.zeros(0)] * 7)
    return observe(np.random.default_rng(0), stars)


def _propose(
    rng: np.random.Generator,
    config: StreamConfig,
    track: Track,
    population: Population,
    share: float,
) -> tuple[Stars, tuple[Array, Array]]:
    """Stars along the stream, less those missing in its gaps, and their phi1 and phi2."""
    half = config.length_deg / 2
    phi1 = rng.uniform(-half, half, max(2 * config.n_stars, MIN_PROPOSED))
    present = np.ones(len(phi1))
    for gap in config.gaps:
        present *= 1 - gap.depth * np.exp(-0.5 * ((phi1 - gap.phi1_deg) / gap.sigma_deg) ** 2)
    phi1 = phi1[rng.random(len(phi1)) < present]
    n = len(phi1)
    phi2 = config.width_deg * rng.standard_normal(n)
    ra, dec, distance, pmra, pmdec = track.place(phi1, phi2)
    spread = config.velocity_dispersion_kms / (KMS_PER_MASYR_KPC * distance)
    g_abs, bp_rp = population.draw(rng, np.full(n, share))
    stars = Stars(
        pixels.id_pixels(ra, dec) * pixels.ID_FACTOR,
        ra,
        dec,
        distance,
        pmra + spread * rng.standard_normal(n),
        pmdec + spread * rng.standard_normal(n),
        g_abs + distance_modulus(distance),
        bp_rp,
    )
    return stars, (phi1, phi2)


def _track(config: StreamConfig) -> Track:
    if isinstance(config.track, GreatCircleTrack):
        return great_circle(config.track, config.length_deg)
    return orbit(config.track, config.length_deg)
