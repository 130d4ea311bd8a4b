"""The verb that times the flow engines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from viamachinae.bench.likelihood import Likelihood
    from viamachinae.bench.speed import Speed


def bench(
    shape: Annotated[
        list[str] | None, typer.Option(help="Of flows; 8x64x2 by default. May be repeated.")
    ] = None,
    work: Annotated[
        list[str] | None,
        typer.Option(help="training, log_prob, sampling (these by default) or likelihood."),
    ] = None,
    batch: Annotated[
        list[int] | None, typer.Option(help="Stars of a model in a step; 512 by default.")
    ] = None,
    stack: Annotated[list[int] | None, typer.Option(help="Models; 1 by default.")] = None,
    seconds: Annotated[float, typer.Option(help="Length of a turn.")] = 0.2,
    device: Annotated[
        str,
        typer.Option(
            help="cpu, or cuda: training of 80 models at batch 256 there, by default, and what "
            "follows for the whole sky."
        ),
    ] = "cpu",
    workers: Annotated[int, typer.Option(help="Cores at work at once.")] = 1,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for numbers, page and figure.")
    ] = None,
) -> None:
    """Time the flow engines beside the other libraries of flows that are installed."""
    from viamachinae.bench.run import Selection
    from viamachinae.bench.run import bench as run
    from viamachinae.bench.shapes import WORKS

    console = Console()
    if device != "cpu":
        for line in _on_cuda(device, shape or ["15x128"], batch or [256], stack or [80], seconds):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        return
    selection = Selection(
        shape or ["8x64x2"], work or WORKS, batch or [512], stack or [1], seconds, workers
    )
    record = run(
        selection,
        out,
        on_speeds=lambda found: _print_speeds(console, found),
        on_likelihood=lambda found: _print_likelihood(console, found),
    )
    for missing in sorted({pair for names in record.absent.values() for pair in names.items()}):
        console.print("without {}: {}".format(*missing), markup=False, soft_wrap=True)


def _on_cuda(
    device: str, shapes: list[str], batches: list[int], stacks: list[int], seconds: float
) -> Iterator[str]:
    from viamachinae.bench.cuda import cuda_device, peaks_of, report, train_on
    from viamachinae.bench.run import Selection
    from viamachinae.errors import BadInputError

    if device != "cuda":
        raise BadInputError(f"bench: there is no device {device}; give cpu or cuda")
    selection = Selection(shapes, ["training"], batches, stacks, seconds)
    there = cuda_device()
    peaks = peaks_of(there)
    for case in selection.cases():
        for models in case.stacks:
            trained = train_on(there, case.shape, models, case.batch, seconds)
            yield from report(case.shape, models, case.batch, trained, peaks)


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
