"""What is shipped beside the program: the wheel, the container file, the compose files, the unit of systemd."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml

from streamer.models.scripted import ScriptedModel
from streamer.monitor import Monitor
from streamer.server import Server
from tests.words import options_of

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
UNIT = DEPLOY / "streamer.service"


def instructions(path: Path = DEPLOY / "Dockerfile") -> list[tuple[str, str]]:
    """Word and the rest of each instruction, lines joined, without comments."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in whole.splitlines() if line)]


def only(word: str) -> str:
    [rest] = [rest for one, rest in instructions() if one == word]
    return rest


def compose(name: str = "compose.yaml") -> dict[str, Any]:
    document = yaml.safe_load((DEPLOY / name).read_text())
    assert isinstance(document, dict)
    return document


def program(name: str) -> str:
    """A tool of the virtual environment or the system."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def said(*command: str | Path) -> tuple[int, str]:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


# -- the wheel


def test_a_wheel_has_all_that_the_program_needs(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    code, words = said(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path)
    assert code == 0, words
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    ours = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "streamer").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert ours - packed == set()
    assert {"streamer/server/static/index.html", "streamer/gemma/tiny/model.safetensors"} <= packed
    assert "streamer/sample_videos/street.mp4" in packed
    assert [name for name in packed if not name.startswith(("streamer/", "streamer-"))] == []


# -- the container file


def test_hadolint_finds_nothing() -> None:
    assert said(program("hadolint"), DEPLOY / "Dockerfile") == (0, "")


def test_what_is_copied_is_there_and_not_ignored() -> None:
    copied = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and "--from" not in rest]
    assert copied
    for name in (name for names in copied for name in names):
        path = ROOT / name
        assert path.exists(), name
        files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
        wanted = [one for one in files if "__pycache__" not in one.parts]
        assert [one for one in wanted if ignored(one.relative_to(ROOT))] == []


@pytest.mark.parametrize(
    "name",
    [".git/config", "streamer.env", "deploy/streamer.env", "deploy/config/streams.toml", "streamer-data/tokens.json",
     "sample_videos/night.mp4", "streamer/__pycache__/cli.cpython-311.pyc"],
)  # fmt: skip
def test_nothing_else_gets_into_the_image(name: str) -> None:
    assert ignored(Path(name))


def ignored(path: Path) -> bool:
    """By .dockerignore: the last line that fits the path or a folder above it decides."""
    answer = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip().removeprefix("!")
        if not pattern or pattern.startswith("#"):
            continue
        if any(fits(str(one), pattern) for one in (path, *path.parents) if one != Path(".")):
            answer = not line.startswith("!")
    return answer


def fits(name: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return any(fits(name.split("/", skip)[-1], pattern[3:]) for skip in range(name.count("/") + 1))
    return name.count("/") == pattern.count("/") and fnmatchcase(name, pattern)


def test_the_image_runs_a_command_that_there_is() -> None:
    words = yaml.safe_load(only("CMD"))
    assert yaml.safe_load(only("ENTRYPOINT")) == ["streamer"]
    assert words[0] == "watch"
    assert {word for word in words if word.startswith("--")} <= options_of("watch")
    volumes = yaml.safe_load(only("VOLUME"))
    assert words[words.index("--data") + 1] in volumes
    assert re.search(r"HF_HOME=(\S+)", only_env())[1] in volumes  # type: ignore[index]
    assert int(only("USER").partition(":")[0]) > 0


def only_env() -> str:
    return " ".join(rest for word, rest in instructions() if word == "ENV")


@pytest.fixture
def page() -> Iterator[Server]:
    with Monitor(ScriptedModel(lambda request: "")) as monitor, Server(monitor, port=0) as server:
        yield server


def test_the_health_check_tells_a_running_server_from_none(page: Server) -> None:
    words = yaml.safe_load(only("HEALTHCHECK").partition(" CMD ")[2])
    assert words[:2] == ["python", "-c"]
    check = [sys.executable, "-c", words[2].replace(f":{only('EXPOSE')}/", f":{page.port}/")]
    assert check[2] != words[2]
    assert said(*check) == (0, "")
    page.close()
    assert said(*check)[0] == 1


# -- the compose files


@pytest.mark.parametrize("name", ["compose.yaml", "compose.vllm.yaml"])
def test_compose_files_follow_the_specification(name: str) -> None:
    pytest.importorskip("check_jsonschema")
    code, words = said(
        sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / name
    )
    assert code == 0, words


def test_both_images_are_built_of_the_one_file_and_differ_by_the_index_of_torch() -> None:
    arguments = {rest.partition("=")[0] for word, rest in instructions() if word == "ARG"}
    services = compose()["services"]
    for name, service in services.items():
        build = service["build"]
        context = (DEPLOY / build["context"]).resolve()
        assert context == ROOT
        assert (context / build["dockerfile"]).is_file()
        assert set(build.get("args", ())) <= arguments
        assert service["profiles"] == [name]
    assert "args" not in services["cpu"]["build"]
    assert list(services["cuda"]["build"]["args"]) == ["TORCH_INDEX"]


def test_containers_have_no_rights_and_keep_their_data_in_named_volumes() -> None:
    document = compose()
    for service in document["services"].values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        places = dict(volume.split(":")[:2] for volume in service["volumes"])
        assert places == {"data": "/data", "models": "/models", "./config": "/config"}
        assert set(document["volumes"]) == {"data", "models"}
        [published] = service["ports"]
        assert published.endswith(f":{only('EXPOSE')}")
        assert "127.0.0.1" in published


def test_no_secret_stands_in_the_files() -> None:
    for path in (DEPLOY / "Dockerfile", UNIT, *DEPLOY.glob("*.yaml")):
        assert re.findall(r"(?:TOKEN|KEY|PASSWORD)=(?![…\s]|$)\S+", path.read_text()) == []


def test_the_vllm_server_is_asked_with_what_the_documentation_says() -> None:
    both = compose("compose.vllm.yaml")["services"]
    assert both["vllm"]["profiles"] == both["cpu"].get("profiles", compose()["services"]["cpu"]["profiles"])
    assert both["cpu"]["environment"]["STREAMER_MODEL_URL"] == "http://vllm:8000/v1"
    tested = (ROOT / "docs" / "remote.md").read_text()
    model, *flags = both["vllm"]["command"]
    assert f"vllm serve {model}" in tested
    for flag in flags:
        option, _, value = flag.partition("=")
        assert option in tested
        assert value.replace(" ", "") in tested.replace(" ", "")


# -- the unit of systemd


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """With a program that is there in place of the one that will be."""
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/streamer/bin/streamer", sys.executable))
    assert said(program("systemd-analyze"), "verify", "--man=no", copy) == (0, "")


def test_the_unit_leaves_little_open() -> None:
    analyze = program("systemd-analyze")
    code, words = said(analyze, "security", "--offline=true", "--no-pager", "--threshold=25", UNIT)
    if "unrecognized option" in words:
        pytest.skip("systemd is older than 250")
    assert code == 0, words


def test_the_unit_runs_a_command_that_there_is_in_folders_that_it_may_write() -> None:
    settings = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE))
    binary, command, *words = settings["ExecStart"].split()
    assert Path(binary).name == "streamer"
    assert {word for word in words if word.startswith("--")} <= options_of(command)
    assert words[words.index("--data") + 1] == f"/var/lib/{settings['StateDirectory']}"
    assert f"HF_HOME=/var/cache/{settings['CacheDirectory']}" in settings["Environment"]
    assert words[words.index("--config") + 1] == "/etc/streamer/streams.toml"
    assert settings["SuccessExitStatus"] == "130"  # as tests/test_stopping.py sees it end
