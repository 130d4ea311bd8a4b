"""The verb that times the flow engines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from viamachinae.bench.likelihood import Likelihood
    from viamachinae.bench.speed import Speed


def bench(
    shape: Annotated[
        list[str], typer.Option(help="Of flows, as in 8x64x2; may be given several times.")
    ] = ["8x64x2"],  # noqa: B006
    work: Annotated[
        list[str], typer.Option(help="training, log_prob, sampling or likelihood.")
    ] = ["training", "log_prob", "sampling"],  # noqa: B006
    batch: Annotated[list[int], typer.Option(help="Stars of a model in a step.")] = [512],  # noqa: B006
    stack: Annotated[list[int], typer.Option(help="Models.")] = [1],  # noqa: B006
    seconds: Annotated[float, typer.Option(help="Length of a turn.")] = 0.2,
    workers: Annotated[int, typer.Option(help="Cores at work at once.")] = 1,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for numbers, page and figure.")
    ] = None,
) -> None:
    """Time the flow engines beside the other libraries of flows that are installed."""
    from viamachinae.bench.run import Selection
    from viamachinae.bench.run import bench as run

    selection = Selection(shape, work, batch, stack, seconds, workers)
    console = Console()
    record = run(
        selection,
        out,
        on_speeds=lambda found: _print_speeds(console, found),
        on_likelihood=lambda found: _print_likelihood(console, found),
    )
    for missing in sorted({pair for names in record.absent.values() for pair in names.items()}):
        console.print("without {}: {}".format(*missing), markup=False, soft_wrap=True)


def _print_speeds(console: Console, found: list[Speed]) -> None:
    for row in found:
        models = "1 model" if row.stack == 1 else f"{row.stack} models"
        console.print(
            f"{row.shape}, {row.work}, batch {row.batch}, {models}, {row.library}: "
            f"{row.cpu:,.0f} stars/s, {row.share:.0%} of the peak",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _print_likelihood(console: Console, found: Likelihood) -> None:
    console.print(
        f"{found.shape}, {found.library}: {found.nats:.3f} nats a held-out star",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
