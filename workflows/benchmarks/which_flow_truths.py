"""Conditional densities of five features that are known exactly, to judge flows by.

`Stars` is fitted to stars of the simulator and has the edges of a patch; `Clumps` is harder and
has nothing to do with stars. Both are mixtures of Gaussians given the condition.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import astropy.units as u
import numpy as np
from astropy.coordinates import Galactic, SkyCoord
from numpy.typing import NDArray
from scipy.special import log_softmax
from which_flow_mixtures import Joint, Mixture, fit_mixture

from viamachinae.config import GalaxyConfig, SimulateQuery
from viamachinae.simulate.source import SimulatedSky
from viamachinae.sky import Patch

Array = NDArray[np.float64]

# The patch, and its edges: those of training in a scan.
LON_DEG, LAT_DEG, RADIUS_DEG, MAX_MAG = 180.0, 50.0, 15.0, 20.5
# The mixture is fitted to stars beyond the edges too, so that it is not already thin there.
FITTED_RADIUS_DEG, FITTED_MAX_MAG, SHARE_OF_STARS = 18.0, 21.0, 0.015
COMPONENTS, ROUNDS = 100, 50
# The share of the mixture inside the edges is known at so many conditions, from so many draws.
NODES, DRAWS = 201, 100_000


class Truth(Protocol):
    """A density of features (n, 5) given one condition (n,)."""

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Features and conditions."""

    def log_prob(self, x: Array, c: Array) -> Array:
        """Natural logarithm of p(x | c), shape (n,)."""

    def possible(self, x: Array) -> NDArray[np.bool_]:
        """Where the density is not zero, shape (n,)."""


def simulated_stars(seed: int = 1) -> Array:
    """(phi, lam, pm_phi, colour, mag, pm_lam) of stars of the simulator, shape (n, 6)."""
    centre = SkyCoord(LON_DEG * u.deg, LAT_DEG * u.deg, frame=Galactic()).icrs
    patch = Patch("p", centre.ra.deg, centre.dec.deg, FITTED_RADIUS_DEG, FITTED_RADIUS_DEG)
    galaxy = GalaxyConfig(fraction=SHARE_OF_STARS, max_mag=FITTED_MAX_MAG)
    columns = ["ra", "dec", "pmra", "pmdec", "bp_rp", "phot_g_mean_mag"]
    sky = SimulatedSky(SimulateQuery(galaxy=galaxy), seed)
    stars = sky.stars(patch.ra, patch.dec, FITTED_RADIUS_DEG, columns)
    ra, dec, pmra, pmdec, colour, mag = (np.asarray(stars[name]) for name in columns)
    place = patch.to_frame(ra, dec, pmra, pmdec)
    return np.column_stack([place.phi, place.lam, place.pm_phi, colour, mag, place.pm_lam])


class Stars:
    """The stars of a patch: a mixture fitted to the simulator's, cut at the patch's edges.

    Features (phi, lam, pm_phi, colour, mag) given pm_lam. Inside the disc and the magnitude
    limit the density is the mixture's over the share of the mixture that lies inside, a smooth
    function of the condition, taken from draws; outside it is zero.

    Parameters
    ----------
    file : Path
        Where the fitted mixture is kept, and read from where it is there.
    """

    def __init__(self, file: Path) -> None:
        if file.exists():
            with np.load(file) as kept:
                self.joint = Joint(kept["weights"], kept["means"], kept["covariances"])
        else:
            rng = np.random.default_rng(0)
            self.joint = fit_mixture(simulated_stars(), COMPONENTS, ROUNDS, rng)
            np.savez(file, **self.joint._asdict())
        self.mixture = self.joint.given_condition()
        self._nodes, self._log_inside = self._measure(np.random.default_rng(1))

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Stars of the mixture that lie inside the edges."""
        x, c = np.empty((0, 5)), np.empty(0)
        while len(x) < n:
            more = self.joint.draw_condition(n, rng)
            stars = self.mixture.draw(more, rng)
            kept = inside_edges(stars)
            x, c = np.concatenate([x, stars[kept]]), np.concatenate([c, more[kept]])
        return x[:n], c[:n]

    def log_prob(self, x: Array, c: Array) -> Array:
        """Natural logarithm of p(x | c), shape (n,)."""
        log_inside = np.interp(_compressed(c), self._nodes, self._log_inside)
        return np.where(inside_edges(x), self.mixture.log_prob(x, c) - log_inside, -np.inf)

    def possible(self, x: Array) -> NDArray[np.bool_]:
        """Inside the edges."""
        return inside_edges(x)

    def _measure(self, rng: np.random.Generator) -> tuple[Array, Array]:
        end = _compressed(np.abs(self.joint.draw_condition(1_000_000, rng)).max() * 2)
        nodes = np.linspace(-end, end, NODES)
        shares = [
            inside_edges(self.mixture.draw_at(5 * np.sinh(node), DRAWS, rng)).mean()
            for node in nodes
        ]
        return nodes, np.log(shares)


def inside_edges(x: Array) -> NDArray[np.bool_]:
    """Which stars lie in the disc of the patch and are bright enough."""
    phi, lam = np.radians(x[:, 0]), np.radians(x[:, 1])
    cosine = np.cos(lam) * np.cos(phi)
    return np.asarray((cosine > np.cos(np.radians(RADIUS_DEG))) & (x[:, 4] < MAX_MAG))


def _compressed(c: Array | float) -> Array:
    """Proper motion on a scale that is logarithmic beyond 5 mas/yr."""
    return np.arcsinh(np.asarray(c) / 5)


class Clumps:
    """Sixteen narrow, tilted clumps that swing as the condition, a standard normal, grows."""

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        n, d = 16, 5
        level, slope = rng.normal(size=(2, n))
        place, swing = 1.2 * rng.normal(size=(n, d)), 0.8 * rng.normal(size=(n, d))
        speed, phase = rng.uniform(0.5, 2, size=(n, 1)), rng.uniform(0, 2 * np.pi, size=(n, 1))
        axes = np.linalg.qr(rng.normal(size=(n, d, d)))[0]
        widths = np.exp(rng.uniform(np.log(0.2), np.log(0.8), size=(n, 1, d)))
        scaled = axes * widths
        self.mixture = Mixture(
            lambda c: np.asarray(log_softmax(level + 0.7 * slope * c[:, None], axis=1)),
            lambda c: place + swing * np.sin(speed * c[:, None, None] + phase),
            np.linalg.cholesky(scaled @ scaled.transpose(0, 2, 1)),
        )

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Features and conditions."""
        c = rng.standard_normal(n)
        return self.mixture.draw(c, rng), c

    def log_prob(self, x: Array, c: Array) -> Array:
        """Natural logarithm of p(x | c), shape (n,)."""
        return self.mixture.log_prob(x, c)

    def possible(self, x: Array) -> NDArray[np.bool_]:
        """Everywhere."""
        return np.ones(len(x), dtype=np.bool_)
