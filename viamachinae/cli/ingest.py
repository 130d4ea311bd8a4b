"""The verb that makes a lake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from viamachinae.cli.arguments import Quiet, say


def ingest(
    tables: Annotated[
        list[Path],
        typer.Argument(metavar="TABLE...", help="GaiaSource_*.csv.gz, or any table of stars."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the lake.")],
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[=OWN],...",
            help="Columns to keep, and their names in the tables; the release's by default.",
        ),
    ] = None,
    release: Annotated[str, typer.Option(help="Gaia release of the stars.")] = "gaia_dr3",
    order: Annotated[
        int, typer.Option(min=0, max=12, help="HEALPix order of the lake's pixels.")
    ] = 5,
    whole_sky: Annotated[
        bool,
        typer.Option("--whole-sky", help="Pixels without a star are empty, and not missing."),
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; one a core by default.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Make a lake from tables of stars; run again, it goes on where it was stopped."""
    from viamachinae.query.lake.ingest import ingest as run

    with _bar(quiet) as watch:
        done = run(
            tables,
            out,
            columns=_mapping(columns),
            release=release,
            order=order,
            whole_sky=whole_sky,
            workers=workers,
            watch=watch,
        )
    if not quiet:
        say(
            f"{done.n_stars:,} stars of {done.n_tables} tables in {done.n_pixels} pixels of {out}; "
            f"read them with query.source: lake and query.path: {out}"
        )


def _mapping(columns: str | None) -> dict[str, str] | None:
    if columns is None:
        return None
    pairs = (part.strip().partition("=") for part in columns.split(","))
    return {name: own or name for name, _, own in pairs if name}


@contextmanager
def _bar(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show how far the work is; Ctrl-C ends it with exit code 130 and one sentence."""
    try:
        with Progress(console=Console(stderr=True), transient=True, disable=quiet) as progress:
            bars = {}

            def watch(what: str, done: int, total: int) -> None:
                if what not in bars:
                    bars[what] = progress.add_task(what)
                progress.update(bars[what], completed=done, total=total)

            yield watch
    except KeyboardInterrupt:
        say("stopped; the same command goes on from here")
        raise typer.Exit(130) from None
