"""All commands under one name."""

from __future__ import annotations

from typing import Annotated

import typer

from streamer.commands import rules, tokens
from streamer.commands.files import annotate, export
from streamer.commands.live import demo, watch
from streamer.commands.machine import doctor, version
from streamer.commands.past import alerts, excerpt, search
from streamer.commands.pictures import ask, budgets

app = typer.Typer(
    help="Watch any video with Gemma 4: captions and boxes on files and cameras.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
)
for _command in (demo, watch, annotate, export, ask, budgets, search, alerts, excerpt, doctor, version):
    app.command()(_command)
app.add_typer(rules.app, name="rules")
app.add_typer(tokens.app, name="tokens")


def _say_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="The version.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """What stands before the command."""
