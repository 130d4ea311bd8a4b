"""The verb that documents the options."""

from __future__ import annotations

from typing import Annotated

import typer

from viamachinae.errors import BadInputError


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
