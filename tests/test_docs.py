"""The pages: their commands, options and links exist, and each output stands under a command."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.words import options_of, subcommands_of

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
JOBS = ("annotate", "ask", "home-assistant", "monitor", "serve", "watch")
NAMED = [pytest.param(page, id=page.name) for page in [ROOT / "README.md", *PAGES]]


@pytest.fixture(scope="module")
def refreshing() -> ModuleType:
    sys.path.insert(0, str(ROOT / "scripts"))
    import readme_outputs

    return readme_outputs


def commands(page: str) -> list[list[str]]:
    """The words of each call of streamer in the page's blocks, and between backticks."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    blocks = [block for language, block in fenced if language in ("", "sh", "bash")]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`(streamer [^`]+)`", re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL))
    calls = (re.search(r"(?:^|\$ |exec cpu )streamer ([^|&#>]+)", line) for line in lines)
    return [shlex.split(call[1]) for call in calls if call]


@pytest.mark.parametrize("path", NAMED)
def test_commands_and_options_exist(path: Path) -> None:
    for words in commands(path.read_text()):
        command = [words[0]]
        if words[0] in ("rules", "tokens"):
            command = words[:2]
        assert command[0] in subcommands_of(), words
        options = {re.split("[=,]", word)[0] for word in words if re.match(r"--?[a-z]", word)}
        assert options - options_of(*command) == set(), words


@pytest.mark.parametrize("path", NAMED)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        linked = path.parent / name if name else path
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked.read_text()), target


def anchors(page: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", JOBS)
def test_pages_of_jobs_show_outputs_and_lead_on(name: str) -> None:
    page = (ROOT / "docs" / f"{name}.md").read_text()
    shown = re.findall(r"^<!-- output: [\w-]+(?: for \d+ s)? -->\n\n```text\n(.*?)```", page, re.MULTILINE | re.DOTALL)
    assert len(shown) == page.count("<!-- output") >= 3
    assert all(one.strip() for one in shown)
    assert str(Path.home()) not in page
    assert sum(f"]({other}.md" in page for other in JOBS if other != name) >= 1


def test_outputs_are_put_under_their_commands(refreshing: ModuleType) -> None:
    page = (
        "```sh\necho one; echo two >&2; echo 'http://a:8000/'\n```\n\n<!-- output: first -->\n\n```text\nold\n```\n\n"
        "```sh\nfalse\n```\n\nNo mark.\n\n"
        "```python\nprint(1 + 1)\n```\n\n<!-- output: second -->\n\nEnd.\n"
    )
    new = refreshing.outputs(page, {"8000": "7"})
    assert new == (
        "```sh\necho one; echo two >&2; echo 'http://a:8000/'\n```\n\n<!-- output: first -->\n\n"
        "```text\none\nhttp://a:8000/\n```\n\n"
        "```sh\nfalse\n```\n\nNo mark.\n\n"
        "```python\nprint(1 + 1)\n```\n\n<!-- output: second -->\n\n```text\n2\n```\n\nEnd.\n"
    )
    assert refreshing.outputs(new, {"8000": "7"}) == new


def test_what_goes_on_is_ended_after_its_time(refreshing: ModuleType) -> None:
    page = "```sh\necho begun; sleep 60; echo\n```\n\n<!-- output: endless for 1 s -->\n"
    assert refreshing.outputs(page, {}).endswith("<!-- output: endless for 1 s -->\n\n```text\nbegun\n```\n")


def test_a_command_that_fails_is_no_output(refreshing: ModuleType) -> None:
    with pytest.raises(RuntimeError, match="ended with 3"):
        refreshing.outputs("```sh\nexit 3\n```\n\n<!-- output: broken -->\n", {})
