"""Where the stars come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from viamachinae.config.galaxy import GalaxyConfig, StreamConfig
from viamachinae.config.model import Model, default_tag

Release = Literal["gaia_dr2", "gaia_dr3"]


class FilesQuery(Model):
    """Stars from files on disk."""

    source: Literal["files"]
    path: Path | list[Path] = Field(
        description="Parquet, FITS, ECSV, VOTable, CSV or .npy patch file, or a list of them."
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Gaia's column name to the file's column name, where the two differ (ours).",
    )
    release: Release = Field(
        "gaia_dr3", description="The Gaia release that the columns follow (ours)."
    )


class LakeQuery(Model):
    """Stars from a lake, or from another HATS catalogue of Gaia's stars."""

    source: Literal["lake"]
    path: str = Field(
        description="Folder of the lake or HATS catalogue, or its URL, as in s3://bucket/folder."
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Gaia's column name to the catalogue's, where the two differ (ours).",
    )
    release: Release = Field(
        "gaia_dr3", description="The Gaia release that the columns follow (ours)."
    )


class SimulateQuery(Model):
    """Stars of a simulated sky."""

    source: Literal["simulate"] = "simulate"
    galaxy: GalaxyConfig = GalaxyConfig()
    streams: list[StreamConfig] = Field(
        default_factory=list, description="Injected streams (ours)."
    )
    release: Literal["gaia_dr3"] = Field(
        "gaia_dr3", description="The release whose errors are drawn (ours)."
    )


QueryConfig = Annotated[
    FilesQuery | LakeQuery | SimulateQuery,
    Field(discriminator="source"),
    default_tag("source", "simulate"),
]
