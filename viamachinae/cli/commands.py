"""The user's verbs.

Exit codes: 0 when all went well, 2 for bad input, 3 when some patch did not end as done or
without work, 130 after Ctrl-C.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from viamachinae import __version__
from viamachinae.cli.bench import bench
from viamachinae.errors import BadInputError

if TYPE_CHECKING:
    from viamachinae.config import ScanConfig

app = typer.Typer(
    help="Find stellar streams in Gaia data.", no_args_is_help=True, add_completion=False
)

ConfigFile = Annotated[Path, typer.Argument(help="YAML configuration of the scan.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override an option, as in query.path=FILE."),
]
Out = Annotated[Path | None, typer.Option("--out", help="Run folder; runs/NAME by default.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show errors alone.")]
LogJson = Annotated[bool, typer.Option("--log-json", help="Report as JSON lines on stderr.")]


def main() -> None:
    """Run the command line; bad input ends it with one sentence and exit code 2."""
    try:
        app()
    except BadInputError as error:
        _say(str(error))
        sys.exit(2)
    except OSError as error:
        _say(f"{error.filename or 'disk'}: {error.strerror or error}; free space or mend it, rerun")
        sys.exit(3)


def _say(sentence: str) -> None:
    Console(stderr=True).print(f"viamachinae: {sentence}", markup=False, soft_wrap=True)


def _settings(
    config: Path, overrides: list[str] | None, out: Path | None = None
) -> tuple[ScanConfig, Path]:
    """The configuration and the run folder; read before anything slow is imported."""
    from viamachinae.options import read_config

    settings = read_config(config, overrides or [])
    return settings, out or Path("runs") / settings.name


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


@app.command()
def scan(
    config: ConfigFile,
    out: Out = None,
    overrides: Overrides = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Patches at once; one a core by default.")
    ] = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Start no patch after the first that failed.")
    ] = False,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Scan all patches, link them into stream candidates and write the report."""
    settings, folder = _settings(config, overrides, out)
    from viamachinae.cli.progress import watching
    from viamachinae.pipeline.scan import scan as run
    from viamachinae.sky import tile

    with watching(len(tile(settings.sky)), quiet, log_json) as watch:
        result = run(settings, folder, workers, fail_fast, watch)
    if not quiet and not log_json:
        _print_candidates(folder)
    if not result.is_good:
        _say(f"some patches did not end well; `viamachinae status {folder}` names them")
        raise typer.Exit(3)


def _print_candidates(folder: Path) -> None:
    from astropy.table import Table as Rows

    candidates = Rows.read(folder / "candidates.ecsv")
    table = Table(title=f"{len(candidates)} stream candidates; report: {folder / 'index.html'}")
    for name in ("rank", "candidate", "sigma", "n_stars", "n_patches", "ra", "dec"):
        table.add_column(name, justify="right" if name != "candidate" else "left")
    for row in candidates[:20]:
        table.add_row(
            str(row["rank"]),
            str(row["candidate"]),
            f"{row['sigma']:.1f}",
            str(row["n_stars"]),
            str(row["n_patches"]),
            f"{row['ra']:.2f}",
            f"{row['dec']:+.2f}",
        )
    Console().print(table)
    if len(candidates) > 20:
        Console().print(f"{len(candidates) - 20} more in {folder / 'candidates.ecsv'}")


@app.command()
def patch(
    config: ConfigFile,
    patch_id: Annotated[str, typer.Argument(metavar="PATCH", help="Id, as in l195.0_b+33.7.")],
    stage: Annotated[
        str | None,
        typer.Option(help="Go as far as this stage: preprocess, train, score or lines."),
    ] = None,
    out: Out = None,
    overrides: Overrides = None,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Bring one patch up to date: the unit of work on a cluster."""
    settings, folder = _settings(config, overrides, out)
    from viamachinae.cli.progress import watching
    from viamachinae.pipeline.patch import patch as run
    from viamachinae.pipeline.scan import prepare
    from viamachinae.pipeline.status import is_good, outcome_of

    prepare(settings, folder)
    with watching(1, quiet, log_json) as watch:
        records = run(settings, folder, patch_id, stage, watch=watch)
    _say(f"{patch_id}: {outcome_of(records)}")
    if not is_good(records):
        raise typer.Exit(3)


@app.command()
def link(
    config: ConfigFile,
    out: Out = None,
    overrides: Overrides = None,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Link the patches that are done into stream candidates, and write the report."""
    settings, folder = _settings(config, overrides, out)
    from viamachinae.cli.progress import watching
    from viamachinae.pipeline.link import link as run
    from viamachinae.pipeline.status import is_good

    with watching(0, quiet, log_json) as watch:
        records = run(settings, folder, watch)
    if not quiet and not log_json:
        _print_candidates(folder)
    if not is_good(records):
        raise typer.Exit(3)


@app.command()
def plan(config: ConfigFile, overrides: Overrides = None) -> None:
    """Say what a scan would do: patches, stars, flows, time and disk."""
    settings, _ = _settings(config, overrides)
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


@app.command()
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


@app.command()
def simulate(
    config: ConfigFile,
    out: Annotated[Path, typer.Option("--out", help="Parquet file of the stars.")],
    overrides: Overrides = None,
) -> None:
    """Write the simulated stars of all patches to a file, and the truth beside it."""
    settings, _ = _settings(config, overrides)
    from viamachinae.pipeline.simulate import simulate as run

    truth = run(settings, out)
    _say(f"stars in {out}, injected streams in {truth}")


app.command()(bench)


@app.command("config")
def show_config(
    schema: Annotated[bool, typer.Option("--schema", help="JSON schema.")] = False,
    table: Annotated[bool, typer.Option("--table", help="Markdown table of all options.")] = False,
    defaults: Annotated[bool, typer.Option("--defaults", help="Commented YAML.")] = False,
) -> None:
    """Print the options: schema, table, or a commented YAML of all defaults."""
    from viamachinae import options

    if schema + table + defaults != 1:
        raise BadInputError("config: give one of --schema, --table and --defaults")
    if schema:
        typer.echo(options.json_schema(), nl=False)
    elif table:
        typer.echo(options.option_table(), nl=False)
    else:
        typer.echo(options.defaults_yaml(), nl=False)
