"""``streamer tokens``: who may see and change what on a server that others can reach."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from streamer import terminal
from streamer.commands.past import Config, Data
from streamer.moments import shown

if TYPE_CHECKING:
    from streamer.server.access import Tokens

app = typer.Typer(help="Tokens for people and programs that may look at a live job.", no_args_is_help=True)


def _tokens(config: Path | None, data: Path | None) -> Tokens:
    from streamer.configuration import DATA, read_configuration
    from streamer.server.access import Tokens

    folder = data or (read_configuration(config, to_run=False).data if config is not None else None) or Path(DATA)
    return Tokens(folder / "tokens.json")


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Whose it is.")],
    role: Annotated[str, typer.Option(help="viewer sees; admin changes too.")] = "viewer",
    stream: Annotated[
        list[str] | None, typer.Option(help="A stream that a viewer may see, or a pattern (gate-*); all by default.")
    ] = None,
    config: Config = None,
    data: Data = None,
) -> None:
    """Make a token and show it, once. A running server knows it at once."""
    terminal.out.print(_tokens(config, data).create(name, role, stream or ()), markup=False)


@app.command("list")
def list_tokens(config: Config = None, data: Data = None) -> None:
    """List whose tokens there are."""
    found = _tokens(config, data).list()
    table = Table("name", "role", "streams", "made", box=None)
    for access, created_at in found:
        table.add_row(access.name, access.role, ", ".join(access.streams) or "all", shown(created_at))
    if found:
        terminal.print_table(table)
    else:
        terminal.notice("there is no token yet: streamer tokens add NAME")


@app.command()
def remove(name: str, config: Config = None, data: Data = None) -> None:
    """Make a token worthless, at once."""
    _tokens(config, data).remove(name)
