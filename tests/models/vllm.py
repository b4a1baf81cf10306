"""vLLM serving the embedded checkpoint, where STREAMER_VLLM names its program."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

import streamer

PROGRAM = os.environ.get("STREAMER_VLLM", "")
TINY = Path(streamer.__file__).parent / "gemma" / "tiny"
START_SECONDS = 300


@contextmanager
def serving(log: Path) -> Iterator[str]:
    """As model ``tiny``; gives ``http://HOST:PORT``. Takes about a minute to start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        PROGRAM, "serve", str(TINY), "--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port),
        "--dtype", "float32", "--max-model-len", "2048", "--max-num-seqs", "8", "--enforce-eager",
        "--mm-processor-kwargs", '{"max_soft_tokens": 280}', "--trust-request-mm-kwargs",
        "--limit-mm-per-prompt", '{"image": 4, "video": 0, "audio": 0}',
        "--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}',
    ]  # fmt: skip
    with log.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env=os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1"}
        )
        try:
            _wait(process, f"http://127.0.0.1:{port}/health", log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(60)


def _wait(process: subprocess.Popen[bytes], health: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            if httpx.get(health, timeout=2).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    raise AssertionError(f"vLLM does not answer after {START_SECONDS} s")
