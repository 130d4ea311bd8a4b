"""Verbs that do the work: a whole scan, one patch, the linking of patches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from viamachinae.cli.arguments import (
    ConfigFile,
    LogJson,
    Out,
    Overrides,
    Quiet,
    Workers,
    say,
    settings_of,
)
from viamachinae.cli.candidates import print_candidates
from viamachinae.errors import BadInputError

if TYPE_CHECKING:
    from viamachinae.config import ScanConfig


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
    place: Annotated[
        str | None,
        typer.Option("--on", metavar="PLACE", help="Let Snakemake do it: local or slurm."),
    ] = None,
    snakemake: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- OPTION…]", help="With --on: options for Snakemake, after --."),
    ] = None,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Scan all patches, link them into stream candidates and write the report."""
    settings, folder = settings_of(config, overrides, out)
    if snakemake and place is None:
        raise BadInputError(f"{snakemake[0]}: options for Snakemake need --on local or --on slurm")
    if place is not None:
        _scan_on(settings, folder, place, snakemake or [])
        return
    from viamachinae.cli.progress import watching
    from viamachinae.pipeline.scan import scan as run
    from viamachinae.sky import tile

    with watching(len(tile(settings.sky)), quiet, log_json) as watch:
        result = run(settings, folder, workers, fail_fast, watch, apart=True)
    if not quiet and not log_json:
        print_candidates(folder)
        _say_without_work(result.without_work, len(result.patches))
    if not result.is_good:
        say(f"some patches did not end well; `viamachinae status {folder}` names them")
        raise typer.Exit(3)


def _say_without_work(reasons: dict[str, str], n_patches: int) -> None:
    """Tell in how many patches nothing was scanned, and why in the first of them."""
    for patch, reason in list(reasons.items())[:1]:
        say(f"nothing was scanned in {len(reasons)} of {n_patches} patches; in {patch}: {reason}")


def _scan_on(settings: ScanConfig, folder: Path, place: str, extra: list[str]) -> None:
    from viamachinae.pipeline.stopping import listen
    from viamachinae.pipeline.workflow import run_workflow

    listen()
    try:
        is_good = run_workflow(settings, folder, place, extra, say)
    except KeyboardInterrupt:
        say("stopped; the same command goes on from here")
        raise typer.Exit(130) from None
    if not is_good:
        say(
            "something did not end well: see what Snakemake says, and "
            f"`viamachinae status {folder} --bad`"
        )
        raise typer.Exit(3)


def patch(
    config: ConfigFile,
    patches: Annotated[
        list[str] | None, typer.Argument(metavar="PATCH", help="Ids, as in l195.0_b+33.7.")
    ] = None,
    array: Annotated[
        str | None, typer.Option(metavar="I/N", help="Instead of ids: the I-th of N shares of all.")
    ] = None,
    stage: Annotated[
        str | None,
        typer.Option(help="Go as far as this stage: preprocess, train, score or lines."),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="STAGE,…", help="These stages alone, on what is recorded of others."),
    ] = None,
    scan_name: Annotated[
        str | None, typer.Option("--scan", help="Train and score this scan alone.")
    ] = None,
    done: Annotated[
        Path | None,
        typer.Option(help="Write this file, and exit with 0, if nothing is left to do."),
    ] = None,
    leave_out_failed: Annotated[
        bool, typer.Option("--leave-out-failed", help="Write --done although some patches failed.")
    ] = False,
    workers: Workers = 1,
    out: Out = None,
    overrides: Overrides = None,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Bring some patches up to date: the unit of work on a cluster."""
    settings, folder = settings_of(config, overrides, out)
    from viamachinae.cli.progress import watching
    from viamachinae.pipeline.batch import batch
    from viamachinae.pipeline.done_files import write_done
    from viamachinae.pipeline.extent import parse_extent, share
    from viamachinae.pipeline.prepare import prepare
    from viamachinae.pipeline.status import is_good, outcome_of, reason_of
    from viamachinae.sky import tile

    if bool(patches) == (array is not None):
        raise BadInputError("patch: name patches, or give --array I/N")
    ids = share([one.id for one in tile(settings.sky)], array) if array else patches or []
    extent = parse_extent(settings, stage, only, scan_name)
    if leave_out_failed and done is None:
        raise BadInputError("--leave-out-failed: needs --done FILE")
    if "preprocess" in extent.stages:
        prepare(settings, folder)
    with watching(len(ids), quiet, log_json) as watch:
        records = batch(settings, folder, ids, extent, workers=workers, watch=watch)
    if not quiet and not log_json:
        for patch_id, ended in records.items():
            reason = reason_of(ended)
            say(f"{patch_id}: {outcome_of(ended)}" + (f": {reason}" if reason else ""))
    good = all(is_good(ended) for ended in records.values())
    if done is not None:
        good = write_done(done, extent, records, leave_out_failed)
    if not good:
        say(f"some patches did not end well; `viamachinae status {folder}` names them")
        raise typer.Exit(3)


def link(
    config: ConfigFile,
    out: Out = None,
    overrides: Overrides = None,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Write the report, too.")
    ] = True,
    quiet: Quiet = False,
    log_json: LogJson = False,
) -> None:
    """Link the patches that are done into stream candidates, and write the report."""
    settings, folder = settings_of(config, overrides, out)
    from viamachinae.cli.progress import watching
    from viamachinae.pipeline.link import link as run
    from viamachinae.pipeline.prepare import write_config
    from viamachinae.pipeline.status import has_lines, is_good, write_status

    if not has_lines(settings, folder):
        raise BadInputError(
            f"{folder}: no patch of the configuration is done; scan it, or work on patches by "
            "`viamachinae patch`, first"
        )
    write_config(settings, folder)
    with watching(0, quiet, log_json) as watch:
        records = run(settings, folder, watch, report=report)
    write_status(settings, folder)
    if not quiet and not log_json:
        print_candidates(folder)
    if not is_good(records):
        raise typer.Exit(3)
