"""``streamer ask`` and ``streamer budgets``: questions about single pictures."""

from __future__ import annotations

from json import loads
from pathlib import Path
from typing import Annotated, Any

import typer

from streamer import terminal
from streamer.commands.opening import check_readable, loaded_model
from streamer.commands.options import (
    Budget,
    Detect,
    Device,
    Dtype,
    Json,
    Model,
    ModelUrl,
    OnlyBudgets,
    Prompt,
    Quantize,
    Revision,
)
from streamer.errors import OptionError
from streamer.gemma.schemas import checked_schema
from streamer.models import DEFAULT_MODEL
from streamer.models.base import BUDGETS
from streamer.tasks import Task


def ask(
    words: Annotated[list[str], typer.Argument(metavar="IMAGE… QUESTION", help="Pictures, then the question.")],
    model: Model = DEFAULT_MODEL,
    model_url: ModelUrl = None,
    budget: Budget = 280,
    detect: Detect = None,
    schema: Annotated[Path | None, typer.Option(help="A file with a JSON schema that the answer follows.")] = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    quantize: Quantize = None,
    revision: Revision = None,
    json: Json = False,
) -> None:
    """Ask about one picture, or about several together. With --detect there is no question."""
    from streamer.outputs.jsonl import result_to_json
    from streamer.pictures import ask as answer

    images, question = (words, "") if detect is not None else (words[:-1], words[-1])
    if detect is not None and len(words) > 1 and words[-1].rstrip().endswith("?"):
        raise OptionError("ask", words[-1], "pictures alone beside --detect, which is the question")
    if not images or Path(question).is_file():
        expected = 'one picture or more, then a question: streamer ask a.jpg "How many cars?"'
        raise OptionError("ask", " ".join(words), expected)
    if loose := next((word for word in images if _is_word(word)), None):
        raise OptionError(
            "ask", loose, 'pictures, then the question in quotation marks: streamer ask a.jpg "How many?"'
        )
    if schema is not None and detect is not None:
        raise OptionError("schema", str(schema), "a question beside it: boxes have their own form")
    task = Task.detect(detect) if detect is not None else Task.ask(question, schema=read_schema(schema))
    for image in images:
        check_readable(image)
    with loaded_model(model, device=device, dtype=dtype, quantize=quantize, revision=revision, url=model_url) as loaded:
        result = answer(images, loaded, task, budget=budget)
    if json:
        terminal.print_json(result_to_json(result))
        return
    for note in result.notes.values():
        terminal.notice(note)
    if result.detections:
        terminal.print_table(terminal.detection_table(result))
    else:
        terminal.answer("nothing found" if detect is not None else terminal.words(result.answers[task.name]))


def _is_word(text: str) -> bool:
    """Of a question without quotation marks."""
    return text.strip(",;'").isalpha() and not Path(text).exists()


def read_schema(path: Path | None) -> dict[str, Any] | None:
    """The JSON schema in a file. Raises `OptionError` for a file that holds none."""
    if path is None:
        return None
    try:
        schema = loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OptionError("schema", str(path), f"a readable file of JSON: {error}") from error
    try:
        return checked_schema(schema)
    except OptionError as error:
        raise OptionError("schema", str(path), error.expected) from None


def budgets(
    image: Annotated[str, typer.Argument(help="A picture, or a video for its first one.")],
    model: Model = DEFAULT_MODEL,
    model_url: ModelUrl = None,
    detect: Detect = None,
    prompt: Prompt = None,
    budget: OnlyBudgets = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The figure, PNG.")] = Path("budgets.png"),
    device: Device = "auto",
    dtype: Dtype = "auto",
    quantize: Quantize = None,
    revision: Revision = None,
    json: Json = False,
) -> None:
    """The same picture at every image-token budget: a table, and a figure with the answers side by side."""
    from PIL import Image

    from streamer.outputs.atomic import check_folder, replacing
    from streamer.outputs.jsonl import result_to_json
    from streamer.pictures import budget_figure, compare_budgets

    if prompt and detect is not None:
        raise OptionError("budgets", f"--prompt {prompt} --detect {detect}", "one of the two")
    if output.suffix.lower() != ".png":
        raise OptionError("output", str(output), "a file's name that ends in .png")
    task = Task.caption(prompt) if prompt else Task.detect(detect or "all")
    check_readable(image)
    check_folder(output.parent)
    with loaded_model(model, device=device, dtype=dtype, quantize=quantize, revision=revision, url=model_url) as loaded:
        picture, rows = compare_budgets(image, loaded, task, tuple(budget or BUDGETS), progress=_trying(json))
    with replacing(output) as temporary:
        Image.fromarray(budget_figure(picture, rows, note=loaded.caveat)).save(temporary, format="PNG")
    if json:
        for row in rows:
            values = {"budget": row.budget, "size": row.size, "seconds": round(row.seconds, 4)}
            terminal.print_json({**values, "result": result_to_json(row.result)})
        terminal.print_json({"figure": str(output)})
    else:
        terminal.print_table(terminal.budget_table(rows))
        terminal.out.print(f"figure: {output}", markup=False)


def _trying(json: bool) -> Any:
    return None if json else lambda budget: terminal.err.print(f"[dim]budget {budget} …[/]")
