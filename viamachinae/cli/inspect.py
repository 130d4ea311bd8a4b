"""Verbs that look at results: the pages of a run, and what changed between two runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from viamachinae.cli.arguments import RunArgument, say


def inspect(
    run: RunArgument,
    static: Annotated[
        bool, typer.Option("--static", help="Bring the pages up to date, and serve nothing.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any free one.")] = 0,
    who: Annotated[str | None, typer.Option(help="Whose verdicts; your user name else.")] = None,
) -> None:
    """Serve the pages of a run on 127.0.0.1, where verdicts can be set."""
    from viamachinae.cli.progress import watching
    from viamachinae.pipeline.inspect import inspect as write
    from viamachinae.pipeline.serve import server
    from viamachinae.pipeline.status import is_good

    with watching(0, quiet=False, log_json=False) as watch:
        record = write(run, watch)
    if not is_good([record]):
        raise typer.Exit(3)
    if static:
        say(f"pages in {run / 'index.html'} are up to date")
        return
    with server(run, port, who) as pages:
        say(f"pages at http://127.0.0.1:{pages.server_address[1]}/ ; Ctrl-C ends")
        try:
            pages.serve_forever()
        except KeyboardInterrupt:
            say(f"verdicts are in {run / 'vetting.csv'}")


def compare(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="Run folder.")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="Run folder.")],
) -> None:
    """Show which candidates of two runs are the same, lost or gained, by the stars they share."""
    from viamachinae.pipeline.results import compare as compare_runs

    table = Table()
    for name in ("change", "candidate in A", "candidate in B", "σ in A", "σ in B", "Δσ", "shared"):
        table.add_column(name, justify="left" if "σ" not in name else "right", overflow="fold")
    for row in compare_runs(run_a, run_b):
        table.add_row(
            str(row["change"]),
            str(row["name_a"]) or "–",
            str(row["name_b"]) or "–",
            *(
                "–" if math.isnan(row[name]) else f"{row[name]:{form}}"
                for name, form in (("sigma_a", ".1f"), ("sigma_b", ".1f"), ("sigma_change", "+.1f"))
            ),
            str(row["n_shared"]),
        )
    Console().print(table)
