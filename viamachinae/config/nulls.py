"""Null skies: what a scan finds where there is no stream."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from viamachinae.config.galaxy import GalaxyConfig
from viamachinae.config.model import Model, Positive

NullKind = Literal["shuffled", "spread", "simulated"]


class CellConfig(Model):
    """Cells within which a shuffled sky deals the positions of stars out anew.

    A cell too large loses how stars change over the sky; one in which a stream has a good part
    of the stars, or that holds a single star, keeps it.
    """

    nside: Literal[1, 2, 4, 8, 16, 32] = Field(
        8, description="HEALPix nside of the pixels that positions stay in (ours)."
    )
    pm_widths: Positive | None = Field(
        None,
        description="Size in each proper motion, in widths of a signal region; null: stars of "
        "all motions exchange positions (ours).",
    )
    colour_mag: Positive | None = Field(
        0.5, description="Size in colour, mag; null: stars of all colours (ours)."
    )
    mag_mag: Positive | None = Field(
        1.0, description="Size in magnitude, mag; null: stars of all magnitudes (ours)."
    )


class NullsConfig(Model):
    """Null skies: what a scan finds where there is no stream."""

    kind: NullKind = Field(
        "shuffled",
        description="shuffled: the stars of the scan, their positions dealt out anew within cells; "
        "spread: the same, spread evenly over each pixel of cells.nside; simulated: a smooth "
        "galaxy without streams (ours).",
    )
    skies: int = Field(
        0,
        ge=0,
        description="Null skies that `scan` makes, each at the cost of the scan itself (ours).",
    )
    patches: int | None = Field(
        None,
        ge=1,
        description="Patches of a null sky: one drawn at random and those nearest to it; null: "
        "all (ours).",
    )
    min_sigma: float = Field(
        5.0, description="Smallest line significance of a protocluster kept on null skies (ours)."
    )
    confidence: float = Field(
        0.95, gt=0, lt=1, description="Confidence of the intervals of false candidates (ours)."
    )
    cells: CellConfig = CellConfig()
    galaxy: GalaxyConfig = GalaxyConfig()
    draw: int | None = Field(
        None,
        ge=0,
        description="Number of the null sky that this run is, which `viamachinae null` sets; "
        "null: the sky as it is (ours).",
    )
