"""The simulated sky: the smooth Milky Way and the streams injected into it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from viamachinae.config.model import Fraction, Model, Positive


class GalaxyConfig(Model):
    """The smooth Milky Way of the simulator."""

    fraction: float = Field(
        1.0, gt=0, le=1, description="Share of the stars drawn; below 1 for quick runs (ours)."
    )
    max_mag: float = Field(
        20.5, ge=10, le=21, description="Faintest G drawn, in mag (ours; near Gaia's limit)."
    )


class GreatCircleTrack(Model):
    """A stream on a great circle, with proper motion linear along it."""

    kind: Literal["great_circle"]
    ra: float = Field(description="Middle of the stream, ICRS, deg.")
    dec: float = Field(ge=-90, le=90, description="Middle of the stream, ICRS, deg.")
    position_angle_deg: float = Field(
        description="Direction of the stream at its middle, east of north, deg."
    )
    pmra: float = Field(description="Proper motion in ra times cos(dec) at the middle, mas/yr.")
    pmdec: float = Field(description="Proper motion in dec at the middle, mas/yr.")
    pm_gradient: tuple[float, float] = Field(
        (0.0, 0.0),
        description="Change of proper motion along and across the stream, mas/yr per deg (ours).",
    )
    distance_kpc: Positive = Field(description="Distance at the middle, kpc.")
    distance_gradient: float = Field(
        0.0, description="Change of distance along it, kpc per deg (ours)."
    )


class OrbitTrack(Model):
    """A stream along an orbit in the MilkyWayPotential2022 of gala (extra `orbits`)."""

    kind: Literal["orbit"]
    ra: float = Field(description="Middle of the stream, ICRS, deg.")
    dec: float = Field(ge=-90, le=90, description="Middle of the stream, ICRS, deg.")
    distance_kpc: Positive = Field(description="Distance at the middle, kpc.")
    pmra: float = Field(description="Proper motion in ra times cos(dec) at the middle, mas/yr.")
    pmdec: float = Field(description="Proper motion in dec at the middle, mas/yr.")
    radial_velocity_kms: float = Field(description="Radial velocity at the middle, km/s.")


class Gap(Model):
    """A dip in the density along a stream, Gaussian in phi1."""

    phi1_deg: float = Field(description="Middle of the gap along the stream, deg.")
    sigma_deg: Positive = Field(description="Gaussian width of the gap, deg.")
    depth: Fraction = Field(1.0, description="Share of the stars missing at the middle (ours).")


class StreamConfig(Model):
    """One injected stream."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.+-]+$", description="Name in the truth table.")
    track: Annotated[GreatCircleTrack | OrbitTrack, Field(discriminator="kind")]
    n_stars: int = Field(ge=1, description="Number of stars above the magnitude limit.")
    length_deg: float = Field(gt=0, le=180, description="Length on the sky, deg.")
    width_deg: Positive = Field(description="Gaussian sigma across the stream, deg.")
    velocity_dispersion_kms: float = Field(
        2.0, ge=0, description="Dispersion in each tangential direction, km/s (ours; cold stream)."
    )
    feh: float = Field(-2.0, ge=-2.2, le=0.0, description="Metallicity [Fe/H] (ours; old halo).")
    age_gyr: float = Field(12.0, ge=10.0, le=13.0, description="Age in Gyr (ours; old halo).")
    gaps: list[Gap] = Field(default_factory=list, description="Gaps along the stream (ours).")
