"""The verb that tells where a file comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import yaml

from viamachinae.cli.arguments import print_json, say


def provenance(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="A file of a run; with --crate, the run folder.")
    ],
    crate: Annotated[
        bool, typer.Option("--crate", help="Describe the run as an RO-Crate, in its own folder.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Tell what made a file, from what, and the command that makes it again."""
    if crate:
        from viamachinae.pipeline.crate import write_crate

        say(f"described in {write_crate(path)}")
        return
    from viamachinae.pipeline.provenance import provenance_of

    found = provenance_of(path).as_plain()
    if as_json:
        print_json(found)
    else:
        typer.echo(yaml.safe_dump(found, sort_keys=False, allow_unicode=True), nl=False)
