"""``watch --ray``: what cannot be is said at once, without any cluster.

Not beside `test_live`: a live job's model thread would have the command end this process.
"""

from __future__ import annotations

import pytest

from tests.commands import Run

pytest.importorskip("ray", reason="Ray is not installed: pip install 'streamer[ray]'")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--gpus-per-model", 1], 2, "--gpus-per-model: 1.0 cannot be used; expected --ray beside it"),
        (["--ray", "local", "--gpus-per-model", 65], 2, "--gpus-per-model: 65.0 cannot be used"),
        (["--ray", "local", "--model-url", "http://a", "--gpus-per-model", 1], 2, "and no --model-url"),
        (["--ray", "http://a"], 2, "--ray: 'http://a' cannot be used"),
        (["--ray", "127.0.0.1:9"], 1, "nothing answers there"),
    ],
)
def test_what_cannot_be_is_said_at_once(run: Run, words: list[object], code: int, said: str) -> None:
    ended = run("watch", "synthetic:?live=1", "--model", "tiny", "--port", 0, "--no-history", *words)
    assert ended.code == code
    assert said in ended.words
