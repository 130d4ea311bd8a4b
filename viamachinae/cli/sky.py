"""The verb that makes a sky."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from viamachinae.cli.arguments import ConfigFile, Overrides, say, settings_of


def simulate(
    config: ConfigFile,
    out: Annotated[Path, typer.Option("--out", help="Parquet file of the stars.")],
    overrides: Overrides = None,
) -> None:
    """Write the simulated stars of all patches to a file, and the truth beside it."""
    settings, _ = settings_of(config, overrides)
    from viamachinae.pipeline.simulate import simulate as run

    truth = run(settings, out)
    say(f"stars in {out}, injected streams in {truth}")
