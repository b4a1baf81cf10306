"""``streamer rules``: what a live job looks for, and when it would have fired."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from streamer import terminal
from streamer.commands.opening import loaded_model
from streamer.commands.options import Json
from streamer.commands.past import Config, Data, Streams, moment, opened_history
from streamer.errors import OptionError
from streamer.moments import shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from streamer.models.base import VisionModel
    from streamer.rules import Backtest, Rule

app = typer.Typer(help="Rules of a live job: list them, test them over its history.", no_args_is_help=True)


def rules_of(config: Path | None, data: Path | None) -> list[Rule]:
    """Those of the file as they were changed while the job ran."""
    from streamer.configuration import DATA, Configuration, read_configuration
    from streamer.kept import Changes

    job = read_configuration(config, to_run=False) if config is not None else Configuration()
    folder = data or job.data or Path(DATA)
    return Changes(folder / "changes.json").rules(job.rules)


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
    model: Annotated[str, typer.Option(help="For --ask.")] = "tiny",
    config: Config = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Say when a rule would have fired, by replaying it over the history."""
    from streamer.replay import replay
    from streamer.rules import Rule

    known = {one.name: one for one in rules_of(config, data)}
    if rule not in known and "?" not in rule:
        expected = f"a rule's name ({', '.join(known) or 'none yet'}), or a question that ends with ?"
        raise OptionError("rule", rule, expected)
    wanted = known.get(rule) or Rule("a question", rule)
    now = time.time()
    with opened_history(config, data) as history:
        names = stream or list(history.streams())

        def run(asking: Any = None) -> Any:
            return replay(
                history, wanted, names, moment(since, now), moment(until, now), ask=asking, most_questions=questions
            )

        if ask and wanted.question is not None:
            with loaded_model(model) as loaded:
                found, asked = run(lambda image: _answer(loaded, wanted, image))
        else:
            found, asked = run()
    for name, one in found.items():
        _tell(name, one, as_json=as_json)
    if asked.left_out:
        terminal.notice(f"{asked.left_out} pictures were not asked about (--questions {questions})")


def _answer(model: VisionModel, rule: Rule, image: NDArray[np.uint8]) -> Mapping[str, Any] | None:
    from streamer.analyzer import Analyzer, Job
    from streamer.frames import Frame

    task = rule.task()
    if task is None:
        return None
    frame = Frame(image, (image.shape[1], image.shape[0]), "history", 0, 0.0)
    [result] = Analyzer(model).analyze([Job(frame, (task,))])
    answer = result.answers.get(rule.task_name)
    return answer if isinstance(answer, Mapping) else None


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
