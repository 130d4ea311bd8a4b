"""Streams injected to measure what a search finds, and when one counts as found."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from viamachinae.config.model import Fraction, Model, Positive

Count = Annotated[int, Field(ge=1)]


class InjectedStreams(Model):
    """What injected streams are like: one value of each list a stream."""

    n_stars: list[Count] = Field(
        [50, 100, 200, 400, 800],
        min_length=1,
        description="Stars of a stream that the catalogue can hold: in the footprint, outside the "
        "masks and above max_mag (ours).",
    )
    width_deg: list[Positive] = Field(
        [0.1, 0.2, 0.5], min_length=1, description="Gaussian sigma across the stream, deg (ours)."
    )
    pm_masyr: list[Positive] = Field(
        [5.0, 10.0],
        min_length=1,
        description="Size of the proper motion at the middle, mas/yr; its direction is drawn "
        "(ours).",
    )
    length_deg: list[Annotated[float, Field(gt=0, le=180)]] = Field(
        [40.0], min_length=1, description="Length on the sky, deg (ours)."
    )
    distance_kpc: list[Positive] = Field(
        [10.0], min_length=1, description="Distance, kpc (ours; about that of GD-1)."
    )
    velocity_dispersion_kms: float = Field(
        2.0, ge=0, description="Dispersion in each tangential direction, km/s (ours; cold stream)."
    )
    feh: float = Field(-2.0, ge=-2.2, le=0.0, description="Metallicity [Fe/H] (ours; old halo).")
    age_gyr: float = Field(12.0, ge=10.0, le=13.0, description="Age in Gyr (ours; old halo).")
    max_mag: float | None = Field(
        None,
        ge=10,
        le=21,
        description="Faintest G injected, mag; null: that of the catalogue's faintest star (ours).",
    )


class FoundConfig(Model):
    """When a candidate is an injected stream."""

    min_sigma: float = Field(
        8.0, description="Smallest significance of a candidate that counts (VM2's threshold)."
    )
    min_shared: int = Field(
        5, ge=1, description="Fewest line stars that must be the stream's (ours)."
    )
    min_purity: Fraction = Field(
        0.3, description="Least share of the line stars that must be the stream's (ours)."
    )
    max_offset_deg: Positive = Field(
        1.0, description="Greatest median distance of the line stars from the track, deg (ours)."
    )


class ChallengeConfig(Model):
    """The skies of a blind challenge."""

    n_skies: int = Field(10, ge=1, description="Skies, one patch each (ours).")
    empty_share: Fraction = Field(0.4, description="Share of the skies without a stream (ours).")


class MatchedFilterConfig(Model):
    """The baseline that looks at the sky through a filter in colour and magnitude."""

    modulus_step_mag: Positive = Field(
        0.2, description="Step in distance modulus over the range of link.ridge, mag (ours)."
    )
    min_weight: Fraction = Field(
        0.135, description="Least weight of a star in the filter: two sigma from the ridge (ours)."
    )
    cell_deg: Positive = Field(0.2, description="Cells of the density, deg (ours).")
    background_deg: Positive = Field(
        3.0, description="Gaussian sigma that smooths the background, deg (ours)."
    )
    width_deg: Positive = Field(1.0, description="Width of a line, deg (ours; as link.lines).")
    min_sigma: float = Field(
        6.0, description="Smallest significance listed; empty skies give up to 5 (ours)."
    )
    max_lines: int = Field(10, ge=1, description="Most lines listed of a patch (ours).")


class HoughFinderConfig(Model):
    """The baseline that looks for lines among all stars of windows of proper motion."""

    window_masyr: Positive = Field(
        3.0, description="Side of a window in both proper motions, mas/yr (ours)."
    )
    stride_masyr: Positive = Field(1.5, description="Step between windows, mas/yr (ours).")
    min_stars: int = Field(30, ge=10, description="Fewest stars in a window (ours).")
    min_sigma: float = Field(
        6.0, description="Smallest significance listed; empty skies give up to 6 (ours)."
    )
    max_lines: int = Field(10, ge=1, description="Most lines listed of a patch (ours).")


class BaselinesConfig(Model):
    """Simple searches to hold others against."""

    matched_filter: MatchedFilterConfig = MatchedFilterConfig()
    hough: HoughFinderConfig = HoughFinderConfig()


class ValidationConfig(Model):
    """Injected streams, and how they are looked for."""

    streams: InjectedStreams = InjectedStreams()
    n_streams: int = Field(1, ge=1, description="Streams that the verb inject adds (ours).")
    repeats: int = Field(
        3, ge=1, description="Injections of each kind of stream in each patch (ours)."
    )
    level: float = Field(
        0.95, gt=0, lt=1, description="Confidence level of the intervals of shares (ours)."
    )
    keep_runs: bool = Field(
        False, description="Keep stars, flows and scores of each injection's run (ours)."
    )
    found: FoundConfig = FoundConfig()
    challenge: ChallengeConfig = ChallengeConfig()
    baselines: BaselinesConfig = BaselinesConfig()
