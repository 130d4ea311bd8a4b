"""Verbs that tell: what a scan would cost, and how a run stands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from viamachinae.cli.arguments import ConfigFile, Overrides, settings_of

if TYPE_CHECKING:
    from viamachinae.config import ScanConfig


Adql = Annotated[
    bool, typer.Option("--adql", help="Print the queries for the archive, and send nothing.")
]


def plan(config: ConfigFile, overrides: Overrides = None, adql: Adql = False) -> None:
    """Say what a scan would do: patches, stars, flows, time and disk."""
    settings, _ = settings_of(config, overrides)
    if adql:
        _print_adql(settings)
        return
    from viamachinae.pipeline.plan import plan as run

    plans = run(settings)
    table = Table(title=f"{len(plans)} patches")
    for name in ("patch", "ra", "dec", "stars", "regions", "flows", "hours", "disk (MB)"):
        table.add_column(name, justify="left" if name == "patch" else "right", no_wrap=True)
    for row in plans:
        table.add_row(
            row.patch.id,
            f"{row.patch.ra:.2f}",
            f"{row.patch.dec:+.2f}",
            f"{row.n_stars:,}",
            str(row.n_regions),
            str(row.n_flows),
            f"{row.seconds / 3600:.2f}",
            f"{row.n_bytes / 1e6:.0f}",
        )
    table.add_section()
    table.add_row(
        "all",
        "",
        "",
        f"{sum(row.n_stars for row in plans):,}",
        str(sum(row.n_regions for row in plans)),
        str(sum(row.n_flows for row in plans)),
        f"{sum(row.seconds for row in plans) / 3600:.2f}",
        f"{sum(row.n_bytes for row in plans) / 1e6:.0f}",
    )
    Console().print(table)
    Console().print("Hours are those of one worker, from a short trial of this machine's speed.")


def _print_adql(settings: ScanConfig) -> None:
    from viamachinae.pipeline.plan import adql

    for patch, queries in adql(settings).items():
        for number, query in enumerate(queries, start=1):
            typer.echo(f"-- patch {patch}, {number} of {len(queries)}\n{query}\n")


def status(run: Annotated[Path, typer.Argument(help="Run folder.")]) -> None:
    """Show how every patch and stage of a run ended."""
    from viamachinae.pipeline.status import status as run_status

    table = Table()
    for name in ("patch", "stage", "scan", "outcome", "seconds", "reason"):
        table.add_column(name, overflow="fold")
    for record in run_status(run):
        table.add_row(
            record.patch or "all",
            record.stage,
            record.scan or "",
            record.outcome,
            f"{record.seconds:.1f}",
            record.reason,
        )
    Console().print(table)
