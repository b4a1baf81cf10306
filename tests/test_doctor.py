"""The doctor looks at everything and breaks off at nothing."""

from __future__ import annotations

import sys

import pytest

from streamer.doctor import examine


def test_each_thing_has_a_verdict_and_words() -> None:
    findings = list(examine())
    assert all(finding.verdict in ("ok", "note", "missing") and finding.detail for finding in findings)
    by_subject = {finding.subject: finding for finding in findings}
    for subject in ("python", "torch", "av", "codecs", "encoder"):
        assert by_subject[subject].verdict == "ok"
    assert {"dtype", "hardware decoding", "model cache", "tiny"} <= set(by_subject)
    assert "h264" in by_subject["codecs"].detail
    assert all(finding.remedy for finding in findings if finding.verdict == "missing")


@pytest.mark.parametrize(
    ("package", "subject"), [("av", "codecs"), ("torch", "device"), ("huggingface_hub", "model cache")]
)
def test_a_broken_package_is_a_finding(monkeypatch: pytest.MonkeyPatch, package: str, subject: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # importing it fails
    findings = list(examine())
    [broken] = [finding for finding in findings if finding.subject == subject]
    assert broken.verdict == "missing"
    assert package in broken.detail
    assert broken.remedy
    assert findings[-1].subject == "tiny"
