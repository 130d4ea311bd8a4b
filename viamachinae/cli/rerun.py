"""The verb that does patches of a run again."""

from __future__ import annotations

from typing import Annotated

import typer

from viamachinae.cli.arguments import LogJson, Quiet, RunArgument, Workers, say
from viamachinae.cli.candidates import print_candidates


def rerun(
    run: RunArgument,
    patches: Annotated[
        list[str] | None, typer.Argument(metavar="PATCH", help="Ids of the patches to do again.")
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="All that did not end well, and only what did not.")
    ] = False,
    first: Annotated[
        str | None,
        typer.Option("--from", metavar="STAGE", help="Keep what the stages before this one made."),
    ] = None,
    forget: Annotated[
        bool,
        typer.Option("--forget", help="Forget them, and leave the work to the next scan."),
    ] = False,
    workers: Workers = 1,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Do patches again, with the configuration in the run folder, and link what is done."""
    from viamachinae.cli.progress import watching
    from viamachinae.pipeline.rerun import chosen
    from viamachinae.pipeline.rerun import rerun as run_again

    if forget:
        _, again = chosen(run, patches or [], failed, first)
        say(f"forgotten: {', '.join(again) or 'nothing'}")
        return
    with watching(0, quiet, log_json) as watch:
        result = run_again(
            run, patches or [], failed=failed, first=first, workers=workers, watch=watch
        )
    if not quiet and not log_json:
        say(f"done again: {', '.join(result.patches) or 'nothing'}")
        print_candidates(run)
    if not result.is_good:
        say(f"some patches did not end well; `viamachinae status {run}` names them")
        raise typer.Exit(3)
