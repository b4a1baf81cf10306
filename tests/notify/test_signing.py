"""Signatures: what was signed verifies, anything else does not, and nothing raises."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.notify.signing import sign, verify

SECRET = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
TIME = st.integers(0, 10**11)


@given(SECRET, TIME, st.binary(max_size=200))
def test_what_was_signed_verifies(secret: str, timestamp: int, body: bytes) -> None:
    assert verify(secret, sign(secret, timestamp, body), body, now=timestamp)


@given(SECRET, TIME, st.binary(min_size=1, max_size=200), st.data())
def test_a_changed_body_time_or_secret_does_not(secret: str, timestamp: int, body: bytes, data: st.DataObject) -> None:
    header = sign(secret, timestamp, body)
    place = data.draw(st.integers(0, len(body) - 1))
    other = bytes([*body[:place], body[place] ^ 1, *body[place + 1 :]])
    assert not verify(secret, header, other, now=timestamp)
    assert not verify(secret, header, body + b" ", now=timestamp)
    assert not verify(secret + "x", header, body, now=timestamp)
    assert not verify(secret, header.replace(f"t={timestamp}", f"t={timestamp + 1}"), body, now=timestamp)


@given(st.text(max_size=60) | st.none())
def test_any_header_is_judged_without_an_error(header: str | None) -> None:
    assert not verify("secret", header, b"{}", now=0)


def test_only_so_old_and_so_new() -> None:
    header = sign("secret", 1000, b"{}")
    assert [verify("secret", header, b"{}", now=now) for now in (699, 700, 1300, 1301)] == [False, True, True, False]
    assert verify("secret", header, b"{}", now=1301, tolerance_seconds=301)


def test_two_signatures_while_a_secret_is_changed() -> None:
    new, old = sign("new", 1000, b"{}"), sign("old", 1000, b"{}")
    both = f"{new},{old.partition(',')[2]}"
    assert verify("new", both, b"{}", now=1000)
    assert verify("old", both, b"{}", now=1000)
    assert not verify("other", both, b"{}", now=1000)


def test_openssl_agrees_as_the_document_says() -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    done = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", "sword fish"], input=b'1764072000.{"a": 1}', capture_output=True,
        check=True, timeout=10,
    )  # fmt: skip
    digest = done.stdout.decode().split()[-1]
    assert sign("sword fish", 1764072000, b'{"a": 1}') == f"t=1764072000,v1={digest}"
