"""What the verbs share: their common arguments, and how they speak."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from viamachinae.config import ScanConfig

ConfigFile = Annotated[Path, typer.Argument(help="YAML configuration of the scan.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override an option, as in query.path=FILE."),
]
Out = Annotated[Path | None, typer.Option("--out", help="Run folder; runs/NAME by default.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show errors alone.")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")]
Workers = Annotated[int, typer.Option(min=1, help="Patches at once.")]
LogJson = Annotated[bool, typer.Option("--log-json", help="Report as JSON lines on stderr.")]


def say(sentence: str) -> None:
    """Tell the user one sentence, on stderr."""
    Console(stderr=True).print(f"viamachinae: {sentence}", markup=False, soft_wrap=True)


def print_json(content: object) -> None:
    """Print as JSON, on stdout."""
    typer.echo(json.dumps(content, indent=1))


def settings_of(
    config: Path, overrides: list[str] | None, out: Path | None = None
) -> tuple[ScanConfig, Path]:
    """The configuration and the run folder, read before anything slow is imported."""
    from viamachinae.options import read_config

    settings = read_config(config, overrides or [])
    return settings, out or Path("runs") / settings.name
