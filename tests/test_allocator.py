"""Memory that is free goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import threading, psutil
from streamer.allocator import give_back, use_few_arenas
assert use_few_arenas()
rss = lambda: psutil.Process().memory_info().rss // 2**20
held = [bytearray(50_000) for _ in range(2000)]
kept = [bytearray(1000) for _ in range(10)]
before = rss()
del held
give_back()
print(before - rss())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc needs it")
def test_what_is_free_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout) > 50
