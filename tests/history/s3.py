"""An S3-compatible server in a process of its own, for tests alone."""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import httpx

START_SECONDS = 60
KEY, SECRET = "AKIATESTTESTTESTTEST", "a-very-secret-key-0123456789"


class S3Server:
    """moto's server; runs from the beginning of the block to its end."""

    def __init__(self, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._log = log

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", self.url.rpartition(":")[2]]
        with self._log.open("w") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                httpx.get(f"{self.url}/moto-api/", timeout=2)
                return self
            except httpx.TransportError:
                assert self._process.poll() is None, self._log.read_text()[-2000:]
                assert time.monotonic() < deadline, "moto's server does not answer"
                time.sleep(0.1)

    def __exit__(self, *exc_info: object) -> None:
        self._process.terminate()
        self._process.wait(20)

    def new_bucket(self) -> str:
        """An empty one of a name that no other has."""
        name = f"streamer-{secrets.token_hex(6)}"
        assert httpx.put(f"{self.url}/{name}", headers=_UNSIGNED, timeout=20).is_success
        return name

    def keys(self, bucket: str) -> list[str]:
        """What is in the bucket."""
        listed = httpx.get(f"{self.url}/{bucket}?list-type=2", headers=_UNSIGNED, timeout=20)
        assert listed.is_success, listed.text
        return re.findall(r"<Key>([^<]*)</Key>", listed.text)

    def know_nobody(self, *, refuse: bool) -> None:
        """Whether keys are looked at: nobody's are known here."""
        count = "0" if refuse else "inf"
        assert httpx.post(f"{self.url}/moto-api/reset-auth", content=count, timeout=20).is_success


def environment(url: str) -> Mapping[str, str]:
    """What s3fs needs to find the server at ``url``, and nothing of this machine."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


_SCOPE = f"{KEY}/20250101/us-east-1/s3/aws4_request"
_UNSIGNED = {"authorization": f"AWS4-HMAC-SHA256 Credential={_SCOPE}, SignedHeaders=host, Signature=0"}
"""By which moto knows what service is meant."""
