"""The verb that tells how a run stands."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from viamachinae.cli.arguments import RunArgument, print_json, say

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

    if watch:
        _watch(run)
        return
    found = standing(run)
    if as_json:
        print_json([one.as_row() for one in found])
    elif bad and all(one.is_good for one in found):
        say("nothing ended badly")
    elif bad:
        Console().print(_records([one for one in found if not one.is_good], tail=True))
    else:
        Console().print(_records(found), _summary(found))


def _watch(run: RunArgument) -> None:
    from viamachinae.pipeline.status import standing

    with Live(_summary(standing(run)), console=Console(), auto_refresh=False) as live:
        try:
            while True:
                found = standing(run)
                live.update(_summary(found), refresh=True)
                if all(one.record is not None for one in found):
                    return
                time.sleep(WATCH_SECONDS)
        except KeyboardInterrupt:
            return


def _summary(found: list[Standing]) -> Table:
    """How many places of each stage ended how."""
    table = Table(title="stages by outcome")
    outcomes = list(dict.fromkeys(one.outcome for one in found))
    for name in ("stage", *outcomes, "hours", "most memory (GB)"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    for stage in dict.fromkeys(one.stage for one in found):
        own = [one for one in found if one.stage == stage]
        counts = [sum(one.outcome == outcome for one in own) for outcome in outcomes]
        ended = [one.record for one in own if one.record is not None]
        table.add_row(
            stage,
            *(str(count or "") for count in counts),
            f"{sum(record.seconds for record in ended) / 3600:.2f}",
            f"{max((record.memory_bytes for record in ended), default=0) / 1e9:.1f}",
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
