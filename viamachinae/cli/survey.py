"""The verb that tells what a scan would cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from viamachinae.cli.arguments import ConfigFile, Overrides, print_json, settings_of

if TYPE_CHECKING:
    from viamachinae.pipeline.plan import PatchPlan


def plan(
    config: ConfigFile,
    overrides: Overrides = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Keep the plan as JSON in this file, or take it from there."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Say what a scan would do: patches, stars, flows, time and disk."""
    settings, _ = settings_of(config, overrides)
    from viamachinae.pipeline import plan as planning

    if out is None and not as_json:
        _print_plan(planning.plan(settings))
        return
    found = (
        planning.kept_plan(out, settings)
        if out is not None
        else planning.as_plain(settings, planning.plan(settings))
    )
    if as_json:
        print_json(found)


def _print_plan(plans: list[PatchPlan]) -> None:
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
