"""The command line: its verbs in the order of the help, and how they end.

Exit codes: 0 when all went well, 2 for bad input, 3 when some patch did not end as done or
without work, an archive did not deliver or a file is damaged, 75 after SIGTERM (what could be
saved is saved: the same command goes on), 130 after Ctrl-C.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from viamachinae import __version__
from viamachinae.cli import (
    ingest,
    inspect,
    null,
    options,
    provenance,
    rerun,
    sky,
    status,
    survey,
    work,
)
from viamachinae.cli.arguments import say
from viamachinae.cli.bench import bench
from viamachinae.cli.challenge import challenge, inject, validate
from viamachinae.errors import ArchiveError, BadInputError, UnprocessableError

app = typer.Typer(
    help="Find stellar streams in Gaia data.", no_args_is_help=True, add_completion=False
)
VERBS = (
    work.scan,
    work.patch,
    work.link,
    inspect.inspect,
    inspect.compare,
    rerun.rerun,
    null.null,
    survey.plan,
    status.status,
    provenance.provenance,
    ingest.ingest,
    sky.simulate,
    inject,
    validate,
    bench,
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"viamachinae {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


for verb in VERBS:
    app.command()(verb)
app.command("config")(options.show_config)
app.add_typer(challenge, name="challenge")


def main() -> None:
    """Run the command line; bad input ends it with one sentence and exit code 2."""
    try:
        app()
    except BadInputError as error:
        say(str(error))
        sys.exit(2)
    except (ArchiveError, UnprocessableError) as error:
        say(str(error))
        sys.exit(3)
    except OSError as error:
        say(f"{error.filename or 'disk'}: {error.strerror or error}; free space or mend it, rerun")
        sys.exit(3)
