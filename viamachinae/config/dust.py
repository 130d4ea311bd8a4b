"""Where E(B-V) comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from viamachinae.config.model import Model, Positive, default_tag


class NoEbv(Model):
    """Dust is left out of account."""

    source: Literal["none"] = "none"


class ColumnEbv(Model):
    """E(B-V) from a column of the catalogue."""

    source: Literal["column"]
    column_name: str = Field("ebv", description="Column of the catalogue with E(B-V), mag (ours).")
    factor: Positive = Field(
        1.0, description="The column is multiplied by this; 0.86 for SFD values (ours)."
    )


class HealpixEbv(Model):
    """E(B-V) from a HEALPix map of the whole sky or a part of it."""

    source: Literal["healpix"]
    path: Path = Field(description="FITS file of the map.")
    field: int = Field(0, ge=0, description="Which column of the file, from 0 (ours).")
    frame: Literal["header", "galactic", "equatorial"] = Field(
        "header", description="Frame of the map; header takes the file's COORDSYS (ours)."
    )
    lookup: Literal["nearest", "linear"] = Field(
        "linear",
        description="Value of a star's pixel, or interpolated between the four nearest (ours).",
    )
    factor: Positive = Field(
        1.0,
        description="The map is multiplied by this: 0.86 for SFD (arXiv:1012.4804), 1/3.1 where "
        "it gives A0 instead of E(B-V) (ours).",
    )


class SfdEbv(Model):
    """E(B-V) from the two files of Schlegel, Finkbeiner & Davis (1998), read by dustmaps."""

    source: Literal["sfd"]
    folder: Path = Field(
        description="Folder that holds SFD_dust_4096_ngp.fits and SFD_dust_4096_sgp.fits."
    )
    factor: Positive = Field(
        0.86,
        description="The map is multiplied by this; its recalibration is arXiv:1012.4804 (ours).",
    )


MapConfig = Annotated[
    NoEbv | HealpixEbv | SfdEbv,
    Field(discriminator="source"),
    default_tag("source", "none"),
]

EbvConfig = Annotated[
    NoEbv | ColumnEbv | HealpixEbv | SfdEbv,
    Field(discriminator="source"),
    default_tag("source", "none"),
]
