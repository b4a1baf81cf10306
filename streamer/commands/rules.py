"""``streamer rules``: what a live job looks for, and when it would have fired."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from streamer import terminal
from streamer.commands.opening import loaded_model
from streamer.commands.options import Device, Dtype, Json, Model, ModelUrl, Quantize, Revision, known_budget
from streamer.commands.past import Config, Data, Streams, known_streams, moment, opened_history
from streamer.errors import OptionError
from streamer.models import DEFAULT_MODEL
from streamer.moments import shown

if TYPE_CHECKING:
    from streamer.configuration import Configuration
    from streamer.kept import Changes
    from streamer.rules import Backtest, Rule

app = typer.Typer(help="Rules of a live job: list them, test them over its history.", no_args_is_help=True)


def rules_of(config: Path | None, data: Path | None) -> list[Rule]:
    """Those of the file as they were changed while the job ran."""
    job, changes = _job(config, data)
    return changes.rules(job.rules)


def budgets_of(config: Path | None, data: Path | None) -> dict[str, int]:
    """Stream -> budget as it was set last; without those that follow what happens."""
    job, changes = _job(config, data)
    entries = changes.streams(job.streams)
    return {entry.name: entry.settings.budget for entry in entries if entry.settings.budget != "auto"}


def _job(config: Path | None, data: Path | None) -> tuple[Configuration, Changes]:
    from streamer.configuration import DATA, Configuration, read_configuration
    from streamer.kept import Changes

    job = read_configuration(config, to_run=False) if config is not None else Configuration()
    folder = data or job.data or Path(DATA)
    return job, Changes(folder / "changes.json")


@app.command("list")
def list_rules(config: Config = None, data: Data = None, as_json: Json = False) -> None:
    """List the rules."""
    found = rules_of(config, data)
    if as_json:
        for rule in found:
            terminal.print_json(rule.to_mapping())
        return
    table = Table("rule", "fires when", "streams", "severity", "confirm", "cooldown", "on", box=None)
    for rule in found:
        streams, on = ", ".join(rule.streams) or "all", "yes" if rule.enabled else "no"
        cooldown = f"{rule.cooldown_seconds:g} s"
        table.add_row(rule.name, rule.title, streams, rule.severity, str(rule.confirm), cooldown, on)
    if found:
        terminal.print_table(table)
    else:
        terminal.notice("there is no rule; write some into streams.toml, or make one on the page")


@app.command("test")
def replay_rule(
    rule: Annotated[str, typer.Argument(help="A rule's name, or a question of your own.")],
    stream: Streams = None,
    since: Annotated[str, typer.Option("--from", help="2h, 7d, today, 2026-11-25T18:30, …")] = "1d",
    until: Annotated[str | None, typer.Option("--to", help="As --from.")] = None,
    ask: Annotated[bool, typer.Option(help="Ask the model where the question was not asked at the time.")] = False,
    questions: Annotated[int, typer.Option(min=1, help="At most, with --ask.")] = 200,
    model: Model = DEFAULT_MODEL,
    model_url: ModelUrl = None,
    budget: Annotated[
        int | None, typer.Option(help="Image tokens a picture; the stream's own by default.", callback=known_budget)
    ] = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    quantize: Quantize = None,
    revision: Revision = None,
    config: Config = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Say when a rule would have fired, by replaying it over the history. The model's options are for --ask."""
    from streamer.replay import asking, replay
    from streamer.rules import Rule

    known = {one.name: one for one in rules_of(config, data)}
    if rule not in known and "?" not in rule:
        expected = f"a rule's name ({', '.join(known) or 'none yet'}), or a question that ends with ?"
        raise OptionError("rule", rule, expected)
    wanted = known.get(rule) or Rule("a question", rule)
    now = time.time()
    with opened_history(config, data) as history:
        names = known_streams(history, stream)

        def run(ask_it: Any = None) -> Any:
            return replay(
                history,
                wanted,
                names,
                moment(since, now),
                moment(until, now),
                ask=ask_it,
                most_questions=questions,
                told=_asked,
            )

        if ask and wanted.question is not None:
            known_budgets = budgets_of(config, data)
            with loaded_model(
                model, device=device, dtype=dtype, quantize=quantize, revision=revision, url=model_url
            ) as loaded:
                found, asked = run(asking(loaded, wanted, lambda name: budget or known_budgets.get(name, 280)))
        else:
            found, asked = run()
    for name, one in found.items():
        _tell(name, one, as_json=as_json)
    if asked.left_out:
        terminal.notice(f"{asked.left_out} pictures were not asked about (--questions {questions})")


def _asked(number: int) -> None:
    """Each question takes a while."""
    if number % 20 == 0:
        terminal.notice(f"{number} pictures asked about so far")


def _tell(stream: str, found: Backtest, *, as_json: bool) -> None:
    if as_json:
        for one in found.fired:
            terminal.print_json(
                {"stream": stream, "began_at": one.began_at, "ended_at": one.ended_at, "reason": one.reason}
            )
        return
    for one in found.fired:
        lasted = "to the end" if one.duration_seconds is None else f"for {one.duration_seconds:.0f} s"
        terminal.answer(f"{shown(one.began_at)}  {stream}  {lasted}: {one.reason}")
    unknown = f", {found.unknown} that say nothing of it" if found.unknown else ""
    off = f", {found.off_duty} outside its schedule" if found.off_duty else ""
    times = "once" if len(found.fired) == 1 else f"{len(found.fired)} times"
    terminal.out.print(f"{terminal.plain(stream)}: {times} in {found.results} results{unknown}{off}", markup=False)
