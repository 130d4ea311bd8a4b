"""Thin disc, thick disc and stellar halo: densities, populations and velocities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from viamachinae.simulate.kinematics import CIRCULAR_VELOCITY_KMS, SUN_R_KPC, SUN_Z_KPC
from viamachinae.simulate.populations import DISC_WIDTH, Population

Array = NDArray[np.float64]

# Systems per cubic pc near the Sun. Thin disc: the integral of Chabrier 2003 (PASP 115, 763,
# eq. 18), 0.077, less the thick disc's share. Thick disc: 12 % of it, Jurić et al. 2008 (ApJ 673,
# 864, table 10). Halo: 4e-5 solar masses per cubic pc, in the low half of the published 3e-5 to
# 15e-5 (Bland-Hawthorn & Gerhard 2016, ARA&A 54, 529), at 0.3 solar masses a system; 0.17 % of
# all, near the 0.15 % of Bensby et al. 2003 (A&A 410, 527, table 1). Faint blue stars ask for no
# more (ours).
THIN_DENSITY, THICK_DENSITY, HALO_DENSITY = 0.069, 0.0083, 1.3e-4
# Inside this radius the halo is flat, so that it stays finite at the centre (ours).
HALO_CORE_KPC = 1.0


@dataclass(frozen=True)
class Component:
    """One component of the smooth Galaxy.

    Attributes
    ----------
    name : str
    density : callable
        Galactocentric positions (..., 3) in kpc to stars per cubic pc, of shape (...).
    population : Population
    rotation_kms : float
        Mean azimuthal velocity in the sense of the Sun's.
    dispersion_kms : tuple of 3 floats
        Velocity ellipsoid along (R, phi, z), or (r, phi, theta) where `spherical`.
    spherical : bool
        Whether the ellipsoid points to the Galactic centre rather than its axis.
    """

    name: str
    density: Callable[[Array], Array]
    population: Population
    rotation_kms: float
    dispersion_kms: tuple[float, float, float]
    spherical: bool = False

    def velocities(self, rng: np.random.Generator, position: Array) -> Array:
        """Galactocentric velocities (n, 3) in km/s for positions (n, 3) in kpc."""
        x, y, z = position.T
        radius = np.maximum(np.hypot(x, y), 1e-6)
        out = np.stack([x / radius, y / radius, np.zeros_like(x)], axis=1)
        around = np.stack([y / radius, -x / radius, np.zeros_like(x)], axis=1)
        up = np.broadcast_to(np.array([0.0, 0.0, 1.0]), position.shape)
        if self.spherical:
            tilt = np.arctan2(z, radius)[:, None]
            out, up = np.cos(tilt) * out + np.sin(tilt) * up, np.cos(tilt) * up - np.sin(tilt) * out
        drawn = rng.standard_normal(position.shape) * np.array(self.dispersion_kms)
        drawn[:, 1] += self.rotation_kms
        return np.asarray(drawn[:, :1] * out + drawn[:, 1:2] * around + drawn[:, 2:] * up)


def exponential_disc(
    local: float, length_kpc: float, height_kpc: float
) -> Callable[[Array], Array]:
    """Density of a double-exponential disc that is `local` at the Sun."""

    def density(position: Array) -> Array:
        radius = np.hypot(position[..., 0], position[..., 1]) - SUN_R_KPC
        height = np.abs(position[..., 2]) - SUN_Z_KPC
        return np.asarray(local * np.exp(-radius / length_kpc - height / height_kpc))

    return density


def oblate_halo(
    local: float, flattening: float, inner: float, break_kpc: float, outer: float
) -> Callable[[Array], Array]:
    """Density of an oblate halo with a broken power law that is `local` at the Sun."""

    def profile(radius: Array) -> Array:
        near = np.maximum(radius, HALO_CORE_KPC) ** -inner
        return np.asarray(near * np.maximum(radius / break_kpc, 1) ** (inner - outer))

    sun = local / profile(np.hypot(SUN_R_KPC, SUN_Z_KPC / flattening))

    def density(position: Array) -> Array:
        x, y, z = np.moveaxis(position, -1, 0)
        return sun * profile(np.sqrt(x**2 + y**2 + (z / flattening) ** 2))

    return density


@lru_cache(maxsize=1)
def milky_way() -> tuple[Component, ...]:
    """The three components.

    Densities: Jurić et al. 2008, table 10; the halo's fall beyond 27 kpc: Deason, Belokurov &
    Evans 2011, MNRAS 416, 2903. Metallicities: Casagrande et al. 2011, A&A 530, A138 (thin),
    Gilmore, Wyse & Jones 1995, AJ 109, 1095 (thick), Ivezić et al. 2008, ApJ 684, 287 (halo).
    Velocities: Bensby, Feltzing & Lundström 2003, A&A 410, 527, table 1 (discs), Smith et al.
    2009, MNRAS 399, 1223 (halo). Thin-disc stars younger than 2 Gyr, rare away from the plane,
    are left out.
    """
    return (
        Component(
            "thin disc",
            exponential_disc(THIN_DENSITY, 2.6, 0.3),
            Population.normal(-0.06, 0.22, [2.0, 4.0, 6.0, 8.0, 10.0], DISC_WIDTH),
            CIRCULAR_VELOCITY_KMS - 15,
            (35.0, 20.0, 16.0),
        ),
        Component(
            "thick disc",
            exponential_disc(THICK_DENSITY, 3.6, 0.9),
            Population.normal(-0.6, 0.25, [9.0, 10.0, 11.0]),
            CIRCULAR_VELOCITY_KMS - 46,
            (67.0, 38.0, 35.0),
        ),
        Component(
            "halo",
            oblate_halo(HALO_DENSITY, 0.64, 2.77, 27.0, 4.6),
            Population.normal(-1.46, 0.30, [11.5, 12.5]),
            0.0,
            (143.0, 82.0, 77.0),
            spherical=True,
        ),
    )
