"""The verb that calibrates the candidates of a run on null skies."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from viamachinae.cli.arguments import LogJson, Quiet, RunArgument, say
from viamachinae.cli.candidates import print_candidates


def null(
    run: RunArgument,
    kind: Annotated[
        Literal["shuffled", "spread", "simulated"] | None,
        typer.Option(help="Null skies of the stars themselves in two ways, or of a smooth galaxy."),
    ] = None,
    skies: Annotated[
        int | None, typer.Option(min=1, help="How many; those that stand count too.")
    ] = None,
    patches: Annotated[
        int | None, typer.Option(min=1, help="Patches of each, one at random and those nearest.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Patches at once; one a core by default.")
    ] = None,
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Lay their folders, and leave the work to others.")
    ] = False,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Scan null skies as the run was scanned, and say how many of its candidates are chance.

    Each null sky is a run folder RUN/nulls/KIND-I and costs as much as the scan; what stands is
    kept. Without options the section nulls of the run's configuration decides.
    """
    from viamachinae.cli.progress import watching
    from viamachinae.pipeline.nulls import lay, with_nulls
    from viamachinae.pipeline.nulls import null as run_nulls
    from viamachinae.pipeline.status import is_good

    if prepare:
        for folder in lay(with_nulls(run, kind, skies, patches), run):
            say(f"ready: viamachinae scan {folder}/config.yaml --out {folder}")
        return
    with watching(0, quiet, log_json) as watch:
        records = run_nulls(run, kind, skies, patches, workers=workers, watch=watch)
    if not quiet and not log_json:
        print_candidates(run)
    bad = [name for name, ended in records.items() if not is_good(ended)]
    if bad:
        say(f"did not end well: {', '.join(bad)}; null skies are run folders, see their status")
        raise typer.Exit(3)
