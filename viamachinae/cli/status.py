"""The verb that tells how a run stands."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from viamachinae.cli.arguments import RunArgument, print_json, say
from viamachinae.errors import BadInputError

if TYPE_CHECKING:
    from viamachinae.pipeline.status import Standing

# Seconds from one look at the records to the next.
WATCH_SECONDS = 5.0


def status(
    run: RunArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
    bad: Annotated[
        bool, typer.Option("--bad", help="Only what did not end well, with the end of its log.")
    ] = False,
) -> None:
    """Show how every patch and stage of a run ended."""
    from viamachinae.pipeline.status import standing

    if watch + as_json + bad > 1:
        raise BadInputError("--watch, --json, --bad: give one of them")
    if watch:
        _watch(run)
        return
    found = standing(run)
    if as_json:
        print_json([one.as_row() for one in found])
    elif bad:
        _print_bad(run, found)
    else:
        Console().print(_records(found), _summary(found))


def _print_bad(run: Path, found: list[Standing]) -> None:
    """What did not end well, and of what has no record at all the end of the newest log."""
    from viamachinae.pipeline.status import newest_log

    ended_badly = [one for one in found if not one.is_good]
    waiting = [one for one in found if one.patch and one.record is None]
    if ended_badly:
        Console().print(_records(ended_badly, tail=True))
    else:
        say("nothing ended badly")
    if waiting:
        n_patches = len({one.patch for one in waiting})
        say(f"{len(waiting)} stages of {n_patches} patches have not ended")
        Console().print(newest_log(run), markup=False, highlight=False, soft_wrap=True)


def _watch(run: RunArgument) -> None:
    from viamachinae.pipeline.status import awaited, standing

    with Live(_summary(standing(run)), console=Console(), auto_refresh=False) as live:
        try:
            while True:
                found = standing(run)
                live.update(_summary(found), refresh=True)
                if not awaited(found):
                    return
                time.sleep(WATCH_SECONDS)
        except KeyboardInterrupt:
            return


def _summary(found: list[Standing]) -> Table:
    """How many places of each stage ended how."""
    table = Table(title="stages by outcome")
    outcomes = list(dict.fromkeys(one.outcome for one in found))
    on_gpu = any(one.record and one.record.device_memory_bytes for one in found)
    sizes = ["most memory (GB)", *(["on a GPU (GB)"] if on_gpu else [])]
    for name in ("stage", *outcomes, "hours", *sizes):
        table.add_column(name, justify="left" if name == "stage" else "right")
    for stage in dict.fromkeys(one.stage for one in found):
        own = [one for one in found if one.stage == stage]
        counts = [sum(one.outcome == outcome for one in own) for outcome in outcomes]
        ended = [one.record for one in own if one.record is not None]
        most = [max((record.memory_bytes for record in ended), default=0)]
        if on_gpu:
            most.append(max((record.device_memory_bytes for record in ended), default=0))
        table.add_row(
            stage,
            *(str(count or "") for count in counts),
            f"{sum(record.seconds for record in ended) / 3600:.2f}",
            *(f"{size / 1e9:.1f}" for size in most),
        )
    return table


def _records(found: list[Standing], tail: bool = False) -> Table:
    """How each place of each stage ended; a column in which nothing stands takes no room."""
    columns: dict[str, list[str]] = {
        "patch": [one.patch or "all" for one in found],
        "stage": [one.stage for one in found],
        "scan": [one.scan or "" for one in found],
        "outcome": [one.outcome for one in found],
        "seconds": [f"{one.record.seconds:.1f}" if one.record else "" for one in found],
        "GB": [f"{one.record.memory_bytes / 1e9:.1f}" if one.record else "" for one in found],
        "GPU GB": [
            f"{one.record.device_memory_bytes / 1e9:.1f}"
            if one.record and one.record.device_memory_bytes
            else ""
            for one in found
        ],
        "device": [one.record.device if one.record else "" for one in found],
        "reason": [
            "\n".join(filter(None, (one.reason, one.log_tail() if tail else ""))) for one in found
        ],
    }
    shown = {name: values for name, values in columns.items() if any(values)}
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in shown:
        table.add_column(name, overflow="fold", no_wrap=name in ("patch", "stage", "outcome"))
    for row in zip(*shown.values(), strict=True):
        table.add_row(*row)
    return table
