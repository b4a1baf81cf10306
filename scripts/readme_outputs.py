"""Run the README's commands and write what they print, and the pictures, into it: its outputs are real.

    python scripts/readme_outputs.py

A block of ``sh`` or ``python`` with ``<!-- output: NAME -->`` under it is run in the project's root, and the block
under the mark replaced. Needs Chromium for the picture of the page.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
_MARKED = re.compile(
    r"```(?P<language>sh|python)\n(?P<code>(?:(?!```).)*)```\n\n"
    r"<!-- output: (?P<name>\w+) -->\n(?:\n```text\n.*?```\n)?",
    re.DOTALL,
)
_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


def outputs(readme: str) -> str:
    """The README with every marked block's output anew."""

    def replaced(match: re.Match[str]) -> str:
        code = match["code"]
        command = ["bash", "-c", code] if match["language"] == "sh" else [sys.executable, "-c", code]
        print(f"running {match['name']} …")
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        said = "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())
        said = re.sub(r" on Linux-\S+", " on Linux", said)  # the kernel says nothing to a reader
        head = match[0].partition("<!-- output")[0]
        return f"{head}<!-- output: {match['name']} -->\n\n```text\n{said}\n```\n"

    return _MARKED.sub(replaced, readme)


def live_run(seconds: float) -> None:
    """The README's streams with rules, so that there is something to be found again."""
    shutil.rmtree(ROOT / "streamer-data", ignore_errors=True)
    command = [sys.executable, "-m", "streamer", "watch", "-c", "sample_videos/streams.toml", "--model", "tiny"]
    process = subprocess.Popen([*command, "--port", "0"], cwd=ROOT, stdout=subprocess.DEVNULL)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    process.wait(15)


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
        page.wait_for_timeout(17_000)
        page.screenshot(path=path)
        browser.close()
    process.send_signal(signal.SIGINT)
    process.wait(10)


def frame_of(video: Path, second: float, path: Path) -> None:
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= second:
                Image.fromarray(frame.to_ndarray(format="rgb24")).resize((960, 540), Image.Resampling.LANCZOS).save(
                    path, quality=88
                )
                return


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    live_run(50)
    readme = ROOT / "README.md"
    readme.write_text(outputs(readme.read_text()))
    frame_of(ROOT / "out" / "street.annotated.mp4", 12.04, IMAGES / "annotated.jpg")
    figure = Image.open(ROOT / "budgets.png").convert("RGB")
    figure.resize((1000, figure.height * 1000 // figure.width)).save(IMAGES / "budgets.jpg", quality=86)
    (ROOT / "budgets.png").unlink()
    picture_of_the_page(IMAGES / "page.png")


if __name__ == "__main__":
    main()
