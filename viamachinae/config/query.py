"""Where the stars come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from viamachinae.config.galaxy import GalaxyConfig, StreamConfig
from viamachinae.config.model import Model, Positive, check_colours, default_tag

Release = Literal["gaia_dr2", "gaia_dr3", "gaia_dr4"]
FollowedRelease = Annotated[
    Release, Field(description="The Gaia release that the columns follow (ours).")
]
ColumnNames = Annotated[
    dict[str, str],
    Field(
        description="Gaia's column name to the catalogue's, where the two differ (ours).",
    ),
]


class FilesQuery(Model):
    """Stars from files on disk."""

    source: Literal["files"]
    path: Path | list[Path] = Field(
        description="Parquet, FITS, ECSV, VOTable, CSV or .npy patch file, or a list of them."
    )
    columns: ColumnNames = Field(default_factory=dict)
    release: FollowedRelease = "gaia_dr3"


class DownloadCuts(Model):
    """Which stars the archive sends at all; a cut set to null is off.

    None of them takes away a distant star: a parallax counts as large only with its error
    against it.
    """

    max_mag: float | None = Field(
        20.5, description="Faintest G sent, mag (ours; stars to G = 20.2 are scored)."
    )
    min_colour: float | None = Field(
        None, description="Bluest bp_rp sent, mag (ours; stars of all colours train the flows)."
    )
    max_colour: float | None = Field(
        None, description="Reddest bp_rp sent, mag (ours; stars of all colours train the flows)."
    )
    max_parallax_mas: Positive | None = Field(
        None,
        description="Stars whose parallax, less its zero point and 3 of its errors, exceeds this "
        "are not sent, mas (ours).",
    )

    @model_validator(mode="after")
    def _colours_in_order(self) -> DownloadCuts:
        check_colours(self.min_colour, self.max_colour)
        return self


class ArchiveQuery(Model):
    """Stars from an archive's TAP service, kept in a lake on disk."""

    source: Literal["archive"]
    release: Release = Field("gaia_dr3", description="The Gaia release (ours).")
    endpoint: str = Field(
        "esa",
        pattern=r"^(esa|https?://.+)$",
        description="The archive: esa, or the URL of another TAP service (ours).",
    )
    client: Literal["astroquery", "pyvo"] | None = Field(
        None,
        description="Package that speaks to it; null: astroquery to esa, pyvo to a URL (ours).",
    )
    table: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_.]+$",
        description="Its table of sources, where it has another name than at ESA (ours).",
    )
    lake: Path | None = Field(
        None, description="Folder of the lake; null: lakes/RELEASE in the working folder (ours)."
    )
    order: int = Field(
        5, ge=1, le=12, description="HEALPix order of the pixels of a new lake (ours)."
    )
    cuts: DownloadCuts = DownloadCuts()
    row_limit: int = Field(
        1_000_000, ge=1, description="Most rows asked for at once (ours; below ESA's 3 million)."
    )
    jobs_at_once: int = Field(3, ge=1, le=16, description="Jobs that run at once (ours).")
    job_timeout_s: Positive = Field(
        7200.0, description="Longest time that a job may take, s (ours)."
    )
    timeout_s: Positive = Field(
        120.0, description="Longest silence of the archive within one request, s (ours)."
    )
    tries: int = Field(8, ge=1, description="How often a request is made before giving up (ours).")
    pause_s: Positive = Field(
        2.0, description="Pause before the second try, s; it doubles with each (ours)."
    )
    credentials: Path | None = Field(
        None, description="File of two lines, user and password, to log in with (ours)."
    )


class LakeQuery(Model):
    """Stars from a lake, or from another HATS catalogue of Gaia's stars."""

    source: Literal["lake"]
    path: str = Field(
        description="Folder of the lake or HATS catalogue, or its URL, as in s3://bucket/folder."
    )
    columns: ColumnNames = Field(default_factory=dict)
    release: FollowedRelease = "gaia_dr3"


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
    FilesQuery | LakeQuery | ArchiveQuery | SimulateQuery,
    Field(discriminator="source"),
    default_tag("source", "simulate"),
]
