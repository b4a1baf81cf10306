"""Run the commands of the README and of docs/ and write what they print, and the pictures, into them: all is real.

    python scripts/readme_outputs.py                    the README and every page
    python scripts/readme_outputs.py docs/ask.md …      these alone

A block of ``sh`` or ``python`` with ``<!-- output: NAME -->`` under it is run in the project's root, and the block
under the mark replaced; with ``<!-- output: NAME for 5 s -->`` it is ended so long after its first word. What a page's
commands find there is in `output_scenes`. ``out/`` and ``streamer-data/`` are emptied. Needs Chromium for the picture
of the page, and mosquitto for that about Home Assistant.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

import av
from output_scenes import SCENES, Places, free_port, nothing
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
_MARKED = re.compile(
    r"```(?P<language>sh|python)\n(?P<code>(?:(?!```).)*)```\n\n"
    r"(?P<mark><!-- output: (?P<name>[\w-]+)(?: for (?P<seconds>\d+) s)? -->)\n(?:\n```text\n.*?```\n)?",
    re.DOTALL,
)
LONGEST_SECONDS = 300
_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


def outputs(page: str, places: Places) -> str:
    """The page with every marked block's output anew."""

    def replaced(match: re.Match[str]) -> str:
        print(f"  {match['name']} …", flush=True)
        code, real = translated(match["code"], places), {here: named for named, here in places.items()}
        if match["seconds"]:  # it is "streamer watch", at the port that it has by itself
            own = free_port()
            code, real = f"{code.rstrip()} --port {own}", {own: "8000"}
        command = ["bash", "-c", code] if match["language"] == "sh" else [sys.executable, "-c", code]
        said = printed(command, int(match["seconds"] or 0))
        said = translated(said, real)
        said = "\n".join(line.rstrip() for line in said.strip("\n").splitlines())
        said = re.sub(r" on Linux-\S+", " on Linux", said)  # the kernel says nothing to a reader
        return f"{match[0].partition('<!-- output')[0]}{match['mark']}\n\n```text\n{said}\n```\n"

    return _MARKED.sub(replaced, page)


def translated(text: str, places: Places) -> str:
    for named, other in places.items():
        text = re.sub(rf"(?<=[: ]){re.escape(named)}\b", other, text)
    return text


def printed(command: list[str], seconds: int) -> str:
    """Standard output; of what goes on without end, that until so many seconds after the first of it. Raises where the
    command fails."""
    with tempfile.TemporaryFile() as file:
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, start_new_session=True)
        try:
            if seconds:
                wait_for_output(process, file)
                time.sleep(seconds)
            elif process.wait(LONGEST_SECONDS):
                raise RuntimeError(f"{command[-1]!r} ended with {process.returncode}")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)
        file.seek(0)
        return file.read().decode()


def wait_for_output(process: subprocess.Popen[bytes], file: IO[bytes]) -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    while not os.fstat(file.fileno()).st_size:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} said nothing")
        time.sleep(0.2)


def refresh(path: Path) -> None:
    """One page, in its own scene."""
    page = path.read_text()
    if not _MARKED.search(page):
        return
    print(path.relative_to(ROOT), flush=True)
    shutil.rmtree(ROOT / "out", ignore_errors=True)
    with SCENES.get(path.name, nothing)(page) as places:
        path.write_text(outputs(page, places))


def picture_of_the_page(path: Path) -> None:
    """The demo in Chromium, some seconds after its first caption."""
    from playwright.sync_api import sync_playwright

    command = [sys.executable, "-m", "streamer", "demo", "--no-browser", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = process.stdout.readline().removeprefix("page: ").strip()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=_FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="dark")
        page.goto(url)
        page.wait_for_timeout(11_000)
        page.screenshot(path=path)
        browser.close()
    process.send_signal(signal.SIGTERM)
    process.wait(10)


def frame_of(video: Path, second: float, path: Path) -> None:
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= second:
                Image.fromarray(frame.to_ndarray(format="rgb24")).resize((960, 540), Image.Resampling.LANCZOS).save(
                    path, quality=88
                )
                return


def pictures() -> None:
    """Those of the README, from what its commands have made."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    frame_of(ROOT / "out" / "street.annotated.mp4", 12.04, IMAGES / "annotated.jpg")
    figure = Image.open(ROOT / "budgets.png").convert("RGB")
    figure.resize((1000, figure.height * 1000 // figure.width)).save(IMAGES / "budgets.jpg", quality=86)
    (ROOT / "budgets.png").unlink()
    picture_of_the_page(IMAGES / "page.png")


def main() -> None:
    readme = ROOT / "README.md"
    pages = [Path(word).resolve() for word in sys.argv[1:]] or [readme, *sorted((ROOT / "docs").glob("*.md"))]
    begin = time.monotonic()
    for page in pages:
        refresh(page)
        if page == readme:
            pictures()
    print(f"{len(pages)} pages in {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
