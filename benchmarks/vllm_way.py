"""vLLM as a way to have frames answered: its server on the same folder, asked over its OpenAI API."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import cv2
import httpx
import psutil
from engine_ways import Image, Outcome, Work, batches

from streamer.gemma.checkpoint import Checkpoint

START_SECONDS = 300.0
NAME = "checkpoint"


class VllmServer:
    """``vllm serve`` for one folder, in fp32 and without captured graphs as the others; a context manager."""

    def __init__(self, program: Path, folder: Path, *, budget: int, at_once: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._command = [
            str(program), "serve", str(folder), "--served-model-name", NAME, "--host", "127.0.0.1", "--port", str(port),
            "--dtype", "float32", "--max-model-len", "2048", "--max-num-seqs", str(at_once), "--enforce-eager",
            "--mm-processor-kwargs", f'{{"max_soft_tokens": {budget}}}',
        ]  # fmt: skip
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed at the end of the block

    def __enter__(self) -> Self:
        surroundings = os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1"}
        self._process = subprocess.Popen(self._command, stdout=self._log, stderr=subprocess.STDOUT, env=surroundings)
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                self._log.seek(0)
                raise SystemExit(f"vllm ended by itself:\n{self._log.read()[-2000:]}")
            try:
                if httpx.get(f"{self.url}/health", timeout=2).is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.5)
        raise SystemExit(f"vllm does not answer after {START_SECONDS:.0f} s")

    @property
    def mib(self) -> float:
        """Resident memory of its processes now."""
        server = psutil.Process(self._process.pid)
        resident: int = sum(one.memory_info().rss for one in (server, *server.children(recursive=True)))
        return resident / 2**20

    def __exit__(self, *exc_info: object) -> None:
        self._process.terminate()
        self._process.wait(30)
        self._log.close()


def vllm_way(server: VllmServer, checkpoint: Checkpoint, work: Work, at_once: int) -> Outcome:
    """As many frames at once as there are streams; pictures travel without loss, so that the answers can be equal."""
    outcome = Outcome([[] for _ in work.streams])
    with httpx.Client(base_url=server.url, timeout=120) as client, ThreadPoolExecutor(at_once) as threads:
        for chosen in batches(work, at_once):
            asked = [threads.submit(_ask, client, work, image) for _, image in chosen]
            for (number, _), answer in zip(chosen, asked, strict=True):
                text, tokens, seconds = answer.result()
                outcome.answers[number].append(text)
                outcome.tokens += tokens
                outcome.latencies.append(seconds)
    outcome.peak_mib = server.mib
    return outcome


def _ask(client: httpx.Client, work: Work, image: Image) -> tuple[str, int, float]:
    """The answer, how many tokens it has (its end left out), and how long it took."""
    started = time.perf_counter()
    _, coded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    url = "data:image/png;base64," + base64.b64encode(coded.tobytes()).decode()
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": work.task.prompt}]
    body: dict[str, Any] = {
        "model": NAME,
        "messages": [{"role": "user", "content": content}],
        "temperature": 0,
        "max_tokens": work.max_tokens,
    }
    response = client.post("/v1/chat/completions", json=body)
    if not response.is_success:
        raise SystemExit(f"vllm answers {response.status_code}: {response.text[:500]}")
    said = response.json()
    seconds = time.perf_counter() - started
    ended = said["choices"][0]["finish_reason"] == "stop"
    return said["choices"][0]["message"]["content"], said["usage"]["completion_tokens"] - ended, seconds
