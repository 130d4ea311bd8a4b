"""Drawing the smooth Milky Way, one pixel of the sky at a time."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from viamachinae.config import GalaxyConfig
from viamachinae.simulate import pixels
from viamachinae.simulate.components import Component, milky_way
from viamachinae.simulate.kinematics import galactocentric, icrs_to_galactic, proper_motions
from viamachinae.simulate.observation import MARGIN_MAG, Columns, Stars, distance_modulus, observe
from viamachinae.sky import direction

Array = NDArray[np.float64]

# Shells of equal steps in distance modulus, from 4 pc to 200 kpc.
MODULUS_STEP = 0.1
MODULI = np.arange(-2.0, 21.5 + MODULUS_STEP / 2, MODULUS_STEP)
EDGES_KPC = 10 ** (MODULI / 5 - 2)
MIDDLES_KPC = 10 ** ((MODULI[:-1] + MODULUS_STEP / 2) / 5 - 2)
SHELLS_PC3_PER_SR = np.diff((1e3 * EDGES_KPC) ** 3) / 3
# First key of the galaxy's random streams; the streams of stars have their own.
KEY = 0


def surface_density(config: GalaxyConfig, towards: Array) -> Array:
    """Expected stars per steradian for ICRS unit vectors of shape (n, 3)."""
    place = galactocentric((towards @ icrs_to_galactic().T)[:, None], MIDDLES_KPC[None])
    total = np.zeros(len(towards))
    for component, visible in zip(milky_way(), _visible(config.max_mag), strict=True):
        total += component.density(place) @ (SHELLS_PC3_PER_SR * visible)
    return config.fraction * total


@lru_cache(maxsize=8)
def _visible(max_mag: float) -> tuple[Array, ...]:
    """Share of each component's stars brighter than the limit in each shell."""
    limit = max_mag - (MODULI[:-1] + MODULUS_STEP / 2)
    return tuple(component.population.share_brighter(limit) for component in milky_way())


def draw_pixel(config: GalaxyConfig, seed: int, pixel: int) -> Columns:
    """All catalogue stars of one pixel, the same whatever else is drawn.

    Parameters
    ----------
    config : GalaxyConfig
    seed : int
        The seed of the simulated sky.
    pixel : int
        NESTED pixel at `pixels.NSIDE`.

    Returns
    -------
    dict of str to array of shape (n,)
        The columns of `observation.observe`, cut at the observed limit.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, KEY, pixel]))
    drawn = [_draw(rng, component, config, pixel) for component in milky_way()]
    stars = Stars(*(np.concatenate(column) for column in zip(*drawn, strict=True)))
    running = np.arange(len(stars.ra))
    observed = observe(rng, stars._replace(source_id=stars.source_id + running))
    kept = observed["phot_g_mean_mag"] <= config.max_mag
    return {name: column[kept] for name, column in observed.items()}


def _draw(
    rng: np.random.Generator, component: Component, config: GalaxyConfig, pixel: int
) -> Stars:
    """True stars of one component in a pixel, by thinning an envelope of the density.

    In each shell stars are proposed at the highest density that the pixel's outline has there,
    and kept with the ratio of the density at their own place to it: the result follows the
    density within the pixel too, without steps at its border.
    """
    limit = config.max_mag + MARGIN_MAG
    outline = (pixels.outline(pixel) @ icrs_to_galactic().T)[:, None]
    density = component.density(galactocentric(outline, EDGES_KPC[None])).max(axis=0)
    envelope = np.maximum(density[:-1], density[1:])
    share = component.population.share_to_draw(limit - MODULI[:-1])
    rate = np.cumsum(config.fraction * pixels.AREA_SR * SHELLS_PC3_PER_SR * envelope * share)
    n = rng.poisson(rate[-1])
    shell = np.minimum(np.searchsorted(rate, rng.random(n) * rate[-1]), len(envelope) - 1)
    near, far = EDGES_KPC[shell] ** 3, EDGES_KPC[shell + 1] ** 3
    distance = np.cbrt(near + rng.random(n) * (far - near))
    g_abs, bp_rp = component.population.draw(rng, share[shell])
    g_mag = g_abs + distance_modulus(distance)
    ra, dec, id_pixel = pixels.uniform_positions(rng, pixel, n)
    place = galactocentric(direction(ra, dec) @ icrs_to_galactic().T, distance)
    kept = (g_mag <= limit) & (rng.random(n) * envelope[shell] < component.density(place))
    ra, dec, distance = ra[kept], dec[kept], distance[kept]
    velocity = component.velocities(rng, place[kept])
    pmra, pmdec = proper_motions(ra, dec, distance, velocity)
    source_id = id_pixel[kept] * pixels.ID_FACTOR
    return Stars(source_id, ra, dec, distance, pmra, pmdec, g_mag[kept], bp_rp[kept])
