"""Verbs that measure a search: injections, their recovery, and blind challenges."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from viamachinae.cli.arguments import (
    ConfigFile,
    LogJson,
    Overrides,
    Quiet,
    Workers,
    print_json,
    say,
    settings_of,
)

challenge = typer.Typer(help="Blind challenges: make one, search it, grade lists of candidates.")
Method = Literal["matched-filter", "hough"]
Skies = Annotated[Path, typer.Argument(metavar="SKIES", help="Folder of the challenge.")]


def inject(
    config: ConfigFile,
    out: Annotated[Path, typer.Option("--out", help="Parquet file of the stars.")],
    overrides: Overrides = None,
) -> None:
    """Write the stars of all patches with streams injected, and the truth apart."""
    settings, _ = settings_of(config, overrides)
    from viamachinae.pipeline.injection import inject as run

    written = run(settings, out)
    say(f"stars in {written.stars}; injected streams, {len(written.streams)}, in {written.truth}")


def validate(
    config: ConfigFile,
    out: Annotated[Path, typer.Option("--out", help="Folder of the grid.")],
    overrides: Overrides = None,
    workers: Workers = 1,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Inject a grid of streams, scan each, and say which share is found."""
    settings, _ = settings_of(config, overrides)
    from viamachinae.cli.progress import watching
    from viamachinae.pipeline.points import points
    from viamachinae.pipeline.recovery import validate as run
    from viamachinae.sky import tile

    with watching(len(points(settings, tile(settings.sky))), quiet, log_json) as watch:
        result = run(settings, out, workers, watch)
    if not quiet and not log_json and len(result.completeness):
        _print_completeness(result.completeness)
    if not result.is_good:
        say(f"some injections came to no end; run the same command again ({out})")
        raise typer.Exit(3)


def _print_completeness(shares: Any) -> None:
    table = Table(title="Share of the injected streams found")
    for name in ("by", "from", "to", "injected", "found", "share", "interval"):
        table.add_column(name, justify="left" if name == "by" else "right")
    for row in shares:
        table.add_row(
            str(row["axis"]),
            f"{row['low']:g}",
            f"{row['high']:g}",
            str(row["n"]),
            str(row["n_found"]),
            f"{row['share']:.2f}",
            f"{row['share_low']:.2f}–{row['share_high']:.2f}",
        )
    Console().print(table)


@challenge.command()
def make(
    config: ConfigFile,
    out: Annotated[Path, typer.Option("--out", help="Folder of the challenge.")],
    truth: Annotated[Path, typer.Option("--truth", help="ECSV file of the truth, elsewhere.")],
    seed: Annotated[
        int | None, typer.Option(min=0, help="Keep it secret; drawn by default.")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Write skies, some of them empty, and the truth apart, its hash in challenge.json."""
    settings, _ = settings_of(config, overrides)
    from viamachinae.pipeline.challenge import make as run

    run(settings, out, truth, seed)
    say(f"skies in {out}; the truth is in {truth}: keep it to yourself, and do not change it")


@challenge.command()
def baseline(
    method: Annotated[Method, typer.Argument(help="The search.")],
    skies: Skies,
    out: Annotated[Path, typer.Option("--out", help="CSV file of the candidates.")],
) -> None:
    """Search all skies with a simple method, and write its list."""
    from viamachinae.pipeline.baselines import baseline as run

    say(f"{run(skies, method, out)} candidates in {out}")


@challenge.command()
def score(
    skies: Skies,
    truth: Annotated[Path, typer.Argument(metavar="TRUTH", help="ECSV file of the truth.")],
    lists: Annotated[
        list[Path], typer.Argument(metavar="LIST…", help="Run folders or CSV files of one search.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Grade a list of candidates against the truth."""
    from viamachinae.pipeline.challenge import score as run

    found = run(skies, truth, lists).as_dict()
    if as_json:
        print_json(found)
        return
    table = Table("figure", "value", title="Grade")
    for name, value in found.items():
        if name != "by_stream":
            table.add_row(name.replace("_", " "), _words(value))
    Console().print(table)


def _words(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, dict):
        middle, low, high = value.values()
        return f"{middle:.3f} ({low:.3f}–{high:.3f})"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
