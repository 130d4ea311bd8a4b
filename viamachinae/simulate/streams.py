"""Stars of injected streams."""

from __future__ import annotations

from collections.abc import Sequence

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
    draws = [_nothing(), *(_draw(config, max_mag, seed) for config in configs)]
    columns, true = _joined(draws)
    source_id = columns["source_id"] + pixels.STREAM_BIT + np.arange(len(columns["source_id"]))
    table = Table({"source_id": source_id})
    table["stream"] = np.repeat(
        [config.name for config in configs], [config.n_stars for config in configs]
    ).astype(str)
    for i, (name, (unit, description)) in enumerate(TRUTH.items()):
        table[name] = true[i]
        table[name].unit, table[name].description = unit, description
    table.sort("source_id")
    return {**columns, "source_id": source_id}, table


def _draw(config: StreamConfig, max_mag: float, seed: int) -> tuple[Columns, Array]:
    """Observed columns, and true values (rows of `TRUTH`, stars), of exactly `n_stars` stars."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, KEY, *config.name.encode()]))
    track = _track(config)
    population = Population.mixture(config.feh, config.age_gyr)
    nearest = distance_modulus(track.distance_kpc.min())
    share = float(population.share_to_draw(max_mag + MARGIN_MAG - nearest))
    rounds: list[tuple[Columns, Array]] = []
    n_drawn = 0
    for _ in range(MAX_ROUNDS if share > 0 else 0):
        stars, phi = _propose(rng, config, track, population, share)
        columns = observe(rng, stars)
        true = np.stack([stars.ra, stars.dec, *phi, *stars[3:]])
        kept = columns["phot_g_mean_mag"] <= max_mag
        rounds.append(({name: c[kept] for name, c in columns.items()}, true[:, kept]))
        n_drawn += int(kept.sum())
        if n_drawn >= config.n_stars:
            break
    else:
        raise BadInputError(
            f"stream {config.name} has almost no star brighter than G = {max_mag}; bring it "
            "nearer, raise query.galaxy.max_mag or make its gaps smaller"
        )
    columns, true = _joined(rounds)
    return {name: c[: config.n_stars] for name, c in columns.items()}, true[:, : config.n_stars]


def _joined(draws: Sequence[tuple[Columns, Array]]) -> tuple[Columns, Array]:
    columns = {name: np.concatenate([part[name] for part, _ in draws]) for name in draws[0][0]}
    return columns, np.concatenate([true for _, true in draws], axis=1)


def _nothing() -> tuple[Columns, Array]:
    """A draw of no stars, so that a sky without streams has the same columns."""
    none = np.zeros(0)
    stars = Stars(np.zeros(0, dtype=np.int64), *[none] * 7)
    return observe(np.random.default_rng(0), stars), np.zeros((len(TRUTH), 0))


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
