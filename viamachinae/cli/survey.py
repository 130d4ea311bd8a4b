"""The verb that tells what a scan would cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from viamachinae.cli.arguments import ConfigFile, Overrides, print_json, settings_of

if TYPE_CHECKING:
    from viamachinae.config import ScanConfig
    from viamachinae.pipeline.plan import Needs, PatchPlan


def plan(
    config: ConfigFile,
    overrides: Overrides = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Keep the plan as JSON in this file, or take it from there."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
    adql: Annotated[
        bool, typer.Option("--adql", help="Print the queries for the archive, and send nothing.")
    ] = False,
) -> None:
    """Say what a scan would take: patches, stars, flows, time, memory, disk and download."""
    settings, _ = settings_of(config, overrides)
    if adql:
        _print_adql(settings)
        return
    from viamachinae.cli.progress import watching
    from viamachinae.pipeline import plan_file
    from viamachinae.pipeline.plan import plan as make

    # What the stages have to say is for the run, not for the plan.
    with watching(0, quiet=True, log_json=False):
        if out is None and not as_json:
            _print_plans(settings, make(settings))
            return
        found = (
            plan_file.as_json(settings, make(settings))
            if out is None
            else plan_file.kept_plan(out, settings)
        )
    if as_json:
        print_json(found)


def _print_plans(settings: ScanConfig, plans: list[PatchPlan]) -> None:
    from viamachinae.pipeline.plan import not_estimated, total
    from viamachinae.sky import dusty_patches

    table = Table(title=f"{len(plans)} {'patch' if len(plans) == 1 else 'patches'}")
    for name in ("patch", "stars", "regions", "flows", "hours", "memory", "disk", "download"):
        table.add_column(name, justify="left" if name == "patch" else "right", no_wrap=True)
    for row in plans:
        table.add_row(row.patch.id, *_cells(row))
    table.add_section()
    table.add_row("all", *_cells(total(plans)))
    Console().print(table)
    for patch, reason in dusty_patches(settings.sky):
        Console().print(f"left out: {patch.id}: {reason}", highlight=False)
    Console().print(
        "Hours are those of one core or GPU, from a short trial of this machine's speed; memory "
        "is that of one patch at its peak; sizes are in MB."
    )
    for part in not_estimated(settings):
        Console().print(f"Not estimated: {part}.", highlight=False)


def _cells(row: Needs) -> tuple[str, ...]:
    sizes = (row.memory_bytes, row.disk_bytes, row.download_bytes)
    return (
        f"{row.n_stars:,}",
        str(row.n_regions),
        str(row.n_flows),
        f"{row.seconds / 3600:.2f}",
        *(f"{size / 1e6:.0f}" for size in sizes),
    )


def _print_adql(settings: ScanConfig) -> None:
    from viamachinae.pipeline.plan import adql

    for patch, queries in adql(settings).items():
        for number, query in enumerate(queries, start=1):
            typer.echo(f"-- patch {patch}, {number} of {len(queries)}\n{query}\n")
