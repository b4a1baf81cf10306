"""No secret survives, and nothing else changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.addresses import redact
from streamer.errors import SourceError


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://admin:hunter2@10.0.0.5/live", "rtsp://***@10.0.0.5/live"),
        ("rtsp://admin:p@ss@10.0.0.5:554/live", "rtsp://***@10.0.0.5:554/live"),
        ("http://cam/video?user=me&password=x&size=2", "http://cam/video?user=me&password=***&size=2"),
        ("http://cam/video?ACCESS_TOKEN=x#top", "http://cam/video?ACCESS_TOKEN=***#top"),
        ("/data/a@b.mp4", "/data/a@b.mp4"),
        ("rtsp://h/user=me_password=x1_channel=1_stream=0.sdp", "rtsp://h/user=me_password=***_channel=1_stream=0.sdp"),
        ("http://h/cgi?loginuse=me&loginpas=x&size=2", "http://h/cgi?loginuse=me&loginpas=***&size=2"),
        ("rtsp://me:pa/ss@h/live", "rtsp://***@h/live"),
        ("rtsp://me:pa#ss?@h:554/live", "rtsp://***@h:554/live"),
        ("rtsp://h:554/a@b", "rtsp://h:554/a@b"),
        ("rtsp://[::1]:554/a@b", "rtsp://[::1]:554/a@b"),
        ("synthetic:?size=64x36", "synthetic:?size=64x36"),
    ],
)
def test_redacted(address: str, shown: str) -> None:
    assert redact(address) == shown
    assert redact(shown) == shown


@given(st.text(alphabet=st.characters(categories=("L", "N")), min_size=4, max_size=20))
def test_a_password_never_shows(password: str) -> None:
    error = SourceError(f"rtsp://u:@@{password}@@@cam/x", "gone")
    assert f"@{password}@" not in str(error)
