"""The remote model against vLLM itself, serving the embedded checkpoint: where STREAMER_VLLM names its program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from streamer.analyzer import Analyzer, Job
from streamer.models.base import Request
from streamer.models.local import LocalModel
from streamer.models.remote.model import RemoteModel
from streamer.models.remote.options import RemoteOptions, parse_urls
from streamer.sources import open_source
from streamer.tasks import Task
from streamer.watching import sample_video
from tests.models.vllm import PROGRAM, serving

pytestmark = [
    pytest.mark.skipif(not PROGRAM, reason="STREAMER_VLLM does not name vLLM's program"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("vllm") / "log") as address:
        yield f"{address}/v1"


def test_the_same_answers_as_the_local_engine(url: str) -> None:
    options = RemoteOptions(parse_urls(url), "tiny", lossless=True, at_once=4)
    with LocalModel("tiny", device="cpu", dtype="fp32") as local, RemoteModel(options) as remote:
        assert remote.findings == (
            f"{url} (vLLM) takes an image budget for each request",
            f"{url} (vLLM) holds answers to JSON schemas",
        )
        assert (remote.caveat, remote.structured) == (local.caveat, False)
        with open_source(
            str(sample_video()), sampling="every 4 s", size_for=lambda size: local.size_for(size, 70)
        ) as source:
            jobs = [Job(frame, (Task.caption(), Task.detect(), Task.compare()), 70) for frame in source.frames()]
        jobs = [replace(job, earlier=(before.frame,)) for before, job in pairwise(jobs)]
        here, there = Analyzer(local).analyze(jobs), Analyzer(remote).analyze(jobs)
        assert [result.error for result in there] == [None] * len(jobs)
        assert [result.answers for result in there] == [result.answers for result in here]
        assert [result.usage.image_tokens for result in there] == [result.usage.image_tokens for result in here]
        assert [result.usage.prompt_tokens for result in there] == [result.usage.prompt_tokens for result in here]
        number = {"enum": [1, 2]}
        schema = {"type": "object", "properties": {"n": number}, "required": ["n"], "additionalProperties": False}
        held = remote.generate([Request((jobs[0].frame.image,), "How many cars?", 70, 32, schema=schema)])
        assert held[0].text in ('{"n":1}', '{"n":2}')
