"""Tasks and the words that people write for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import OptionError
from streamer.tasks import CAPTION_PROMPT, COMPARE_PROMPT, READ_PROMPT, Task, parse_task

LABEL = st.from_regex(r"[a-z]{1,8}( [a-z]{1,8})?", fullmatch=True).filter(
    lambda label: label not in ("all", "all objects", "everything") and "and" not in label.split()
)


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("caption", Task.caption()),
        (" Caption : Say it in French ", Task.caption("Say it in French")),
        ("detect", Task.detect()),
        ("detect:all", Task.detect()),
        ("detect: Person, car and traffic light", Task.detect(["person", "car", "traffic light"])),
        ("ask:How many: one or two?", Task.ask("How many: one or two?")),
        ("check:Is there a dog?", Task.check("Is there a dog?")),
        ("read", Task.read()),
        ("read:What is on the plate?", Task.read("What is on the plate?")),
        ("compare", Task.compare()),
        ("compare:Who left?", Task.compare("Who left?")),
    ],
)
def test_words_become_tasks(text: str, task: Task) -> None:
    assert parse_task(text) == task


@pytest.mark.parametrize("text", ["", "dance", "ask", "ask:", "check: ", "captions", ":", "detekt:car"])
def test_other_words_are_refused_and_said_what_can_be(text: str) -> None:
    with pytest.raises(OptionError, match=r"task: .* cannot be used; expected caption, read, compare, detect:LABELS"):
        parse_task(text)


@given(st.text(max_size=40))
def test_any_text_is_a_task_or_an_error_of_ours(text: str) -> None:
    try:
        task = parse_task(text)
    except OptionError:
        return
    assert task.prompt.strip()
    assert task.name == task.kind


@given(st.lists(LABEL, max_size=5, unique=True), st.sampled_from([",", ", ", " and ", ",,"]))
def test_labels_are_read_however_they_are_joined(labels: list[str], joint: str) -> None:
    task = Task.detect(joint.join(labels))
    assert task == Task.detect(labels) == Task.detect(tuple(label.upper() + " " for label in labels))
    assert task.labels == tuple(labels)
    assert all(label in task.prompt for label in labels)


def test_the_prompts_are_those_that_the_model_was_trained_with() -> None:
    assert Task.detect().prompt == "detect all objects, output only ```json"
    assert Task.detect("dog").prompt == "detect dog, output only ```json"
    assert Task.detect("person, car, dog").prompt == "detect person, car and dog, output only ```json"
    assert (Task.caption().prompt, Task.read().prompt) == (CAPTION_PROMPT, READ_PROMPT)
    assert (Task.compare().prompt, Task.compare().frames) == (COMPARE_PROMPT, 2)


REFUSED: list[tuple[Callable[[], Task], str]] = [
    (lambda: Task.ask("  "), "prompt of task ask"),
    (lambda: Task.caption(max_tokens=0), "max_tokens"),
    (lambda: Task.compare(frames=1), "2 or more"),
    (lambda: Task.compare(frames=17), "frames"),
    (lambda: Task("dance", "dance", "Dance!"), "one of caption, detect"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("make", "words"), REFUSED)
def test_what_makes_no_sense_is_refused(make: Callable[[], Task], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        make()


@pytest.mark.parametrize("labels", [",", " , and ,"])
def test_commas_without_names_are_no_list_of_labels(labels: str) -> None:
    with pytest.raises(OptionError, match=r"detect: .* cannot be used; expected names with commas"):
        Task.detect(labels)
