"""Webhooks against real receivers: that answer, refuse, hang, drip, redirect, and repeat our secrets."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from streamer.errors import NotifyError, OptionError
from streamer.notify.base import BusyError
from streamer.notify.webhook import Webhook, WebhookOptions, verify
from tests.notify.receivers import Receiver, dripping, free_port, wait_until
from tests.notify.stores import ALERT, notice


def failure(options: WebhookOptions) -> NotifyError:
    with Webhook("hook", options) as hook, pytest.raises(NotifyError) as caught:
        hook.send(notice())
    return caught.value


def test_what_is_posted(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", "swordfish")
    options = WebhookOptions(receiver.url + "?a=b c".replace(" ", "+"), secret_env="HOOK_SECRET")
    one = notice(7, phase="update", revision=2, description="Ein Mann am Tor, “nachts”")
    with Webhook("hook", options) as hook:
        hook.send(one)
    (got,) = receiver.got
    assert got.path == "/hook?a=b+c"
    assert verify("swordfish", got.headers["x-streamer-signature"], got.body)
    assert not verify("other", got.headers["x-streamer-signature"], got.body)
    assert got.headers["content-type"] == "application/json"
    assert got.headers["idempotency-key"] == got.json["id"] == f"{ALERT}:2"
    assert got.headers["x-streamer-delivery"] == f"{ALERT}:2:7:1"
    assert got.json["alert"] == one.document
    assert abs(got.json["sent_at"] - time.time()) < 10
    assert got.json["snapshot_url"] == "/api/v1/snapshots/a%20b.jpg"
    assert got.json["clip_url"] is None
    assert got.json["alert"]["faults"] == {"clip": "the disk is full"}


def test_addresses_of_media_are_whole_with_a_base_url(receiver: Receiver) -> None:
    with Webhook("hook", WebhookOptions(receiver.url, base_url="https://cam.example/")) as hook:
        hook.send(notice(clip="c.mp4"))
    assert receiver.got[0].json["snapshot_url"] == "https://cam.example/api/v1/snapshots/a%20b.jpg"
    assert receiver.got[0].json["clip_url"] == "https://cam.example/api/v1/clips/c.mp4"
    assert "x-streamer-signature" not in receiver.got[0].headers


def test_user_and_password_of_the_address_are_sent_as_a_header(receiver: Receiver) -> None:
    with Webhook("hook", WebhookOptions(receiver.url.replace("//", "//us%40er:hunter2@"))) as hook:
        hook.send(notice())
        assert "hunter2" not in repr(hook)
    assert receiver.got[0].headers["authorization"] == "Basic dXNAZXI6aHVudGVyMg=="
    assert "@" not in receiver.got[0].headers["host"]


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_every_2xx_is_delivered(receiver: Receiver, status: int) -> None:
    receiver.answers.append(status)
    with Webhook("hook", WebhookOptions(receiver.url)) as hook:
        hook.send(notice())


@pytest.mark.parametrize(
    ("status", "lasting"),
    [
        *((status, False) for status in (408, 409, 425, 429, 500, 502, 503, 504)),
        *((status, True) for status in (301, 302, 307, 308, 400, 401, 403, 404, 410, 413, 422)),
    ],
)
def test_what_is_tried_again_and_what_is_not(receiver: Receiver, status: int, lasting: bool) -> None:
    receiver.answers.append((status, {"Location": receiver.url}, b"no such\n\x1b[31mthing"))
    error = failure(WebhookOptions(receiver.url))
    assert error.lasting is lasting
    assert f"answered {status}: no such [31mthing" in error.reason
    assert len(receiver.got) == 1  # no redirect was followed
    assert ("redirects are not followed" in error.reason) is (300 <= status < 400)


def test_retry_after_is_given_on_within_bounds(receiver: Receiver) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    for header, low, high in (("7", 7, 7), ("999999999999", 3600, 3600), (soon, 90, 100)):
        receiver.answers.append((429, {"Retry-After": header}, b""))
        error = failure(WebhookOptions(receiver.url))
        assert isinstance(error, BusyError)
        assert low <= error.retry_after_seconds <= high
    for header in ("soon", "-3", "Mon, 99 Foo", ""):
        receiver.answers.append((503, {"Retry-After": header}, b""))
        assert not isinstance(failure(WebhookOptions(receiver.url)), BusyError)


def test_a_receiver_that_hangs_holds_no_longer_than_the_timeout(receiver: Receiver) -> None:
    receiver.answers.append("hang")
    begin = time.monotonic()
    error = failure(WebhookOptions(receiver.url, timeout_seconds=0.3))
    assert time.monotonic() - begin < 1
    assert error.reason == f"http://127.0.0.1:{receiver.port}: no answer within 0.3 s"
    assert not error.lasting


@pytest.mark.parametrize(
    ("beginning", "drop"), [(b"", b"H"), (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"), (b"HTTP/1.1 200 OK\r\nX: ", b"y")]
)
def test_nor_does_one_that_drips_its_head(beginning: bytes, drop: bytes) -> None:
    with dripping(beginning, drop) as url:
        begin = time.monotonic()
        error = failure(WebhookOptions(url, timeout_seconds=0.2))
        assert 0.15 < time.monotonic() - begin < 1
    assert "no answer within 0.2 s" in error.reason


@pytest.mark.parametrize("length", [b"", b"Content-Length: 999999\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_with_a_dripping_body_the_status_counts(length: bytes) -> None:
    drop = b"1\r\nx\r\n" if b"chunked" in length else b"x"
    for status in (b"200 OK", b"500 No"):
        with dripping(b"HTTP/1.1 " + status + b"\r\n" + length + b"\r\n", drop) as url:
            begin = time.monotonic()
            with Webhook("hook", WebhookOptions(url, timeout_seconds=0.2)) as hook:
                if status.startswith(b"200"):
                    hook.send(notice())
                else:
                    with pytest.raises(NotifyError, match=r"answered 500: x+"):
                        hook.send(notice())
            assert time.monotonic() - begin < 1


def test_an_answer_without_an_end_is_read_for_64_kib_only() -> None:
    with dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536) as url:
        begin = time.monotonic()
        with Webhook("hook", WebhookOptions(url, timeout_seconds=5)) as hook:
            hook.send(notice())
        assert time.monotonic() - begin < 1


def test_a_receiver_that_reads_nothing_holds_no_longer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        with Webhook("hook", WebhookOptions(url, timeout_seconds=0.3)) as hook:
            begin = time.monotonic()
            with pytest.raises(NotifyError, match=r"no answer within 0\.3 s"):
                hook.send(notice(description="x" * 20_000_000))
            assert time.monotonic() - begin < 2


def test_what_is_no_http_is_tried_again() -> None:
    with dripping(b"SSH-2.0-OpenSSH_9.2\r\n", b"") as url:
        error = failure(WebhookOptions(url, timeout_seconds=2))
    assert "no HTTP" in error.reason
    assert not error.lasting


def test_nobody_there_is_tried_again() -> None:
    error = failure(WebhookOptions(f"http://127.0.0.1:{free_port()}/"))
    assert "Connection refused" in error.reason
    assert not error.lasting


def test_close_ends_a_post_that_is_under_way(receiver: Receiver) -> None:
    receiver.answers.append("hang")
    hook = Webhook("hook", WebhookOptions(receiver.url))
    errors: list[NotifyError] = []

    def post() -> None:
        with pytest.raises(NotifyError) as caught:
            hook.send(notice())
        errors.append(caught.value)

    thread = threading.Thread(target=post)
    thread.start()
    wait_until(lambda: receiver.got)
    begin = time.monotonic()
    hook.close()
    thread.join(5)
    assert time.monotonic() - begin < 0.5
    assert "called off" in errors[0].reason
    with pytest.raises(NotifyError, match="called off"):
        hook.send(notice())
    hook.close()


def test_no_secret_is_in_an_error_a_log_or_a_repr(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "secret").write_text("swordfish\n")
    url = f"http://user:hunter2@127.0.0.1:{receiver.port}/services/T0KEN99?token=abcdef"
    options = WebhookOptions(url, secret_file=str(tmp_path / "secret"))
    receiver.answers.append((400, {}, b"cannot serve /services/T0KEN99?token=abcdef to hunter2 with swordfish"))
    refused = failure(options)
    assert "cannot serve ***" in refused.reason
    absent = failure(WebhookOptions(url.replace(str(receiver.port), str(free_port()))))
    hook = Webhook("hook", options)
    seen = [
        str(refused),
        str(absent),
        repr(refused),
        repr(absent),
        repr(hook),
        repr(options),
        repr(vars(hook)["_secret"]),
    ]
    seen += [str(error.__cause__) for error in (refused, absent)] + [caplog.text]
    for word in ("swordfish", "hunter2", "T0KEN99", "abcdef"):
        assert not [text for text in seen if word in text], word
    hook.close()


def test_certificates_are_verified(certificate: tuple[Path, Path]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with Receiver(context=context) as receiver:
        error = failure(WebhookOptions(receiver.url, timeout_seconds=2))
        assert "its certificate cannot be trusted: self-signed certificate" in error.reason
        assert not error.lasting
        assert not receiver.got
        with Webhook("hook", WebhookOptions(receiver.url, ca_file=str(certificate[0]))) as hook:
            hook.send(notice())
        assert len(receiver.got) == 1


def test_a_tls_greeting_that_never_ends_holds_no_longer() -> None:
    with dripping(b"\x16\x03\x03\x40\x00", b"\x02") as url:
        begin = time.monotonic()
        error = failure(WebhookOptions(url.replace("http:", "https:"), timeout_seconds=0.2))
        assert time.monotonic() - begin < 1
    assert "no answer within 0.2 s" in error.reason


def test_private_addresses_can_be_forbidden(receiver: Receiver) -> None:
    for host in ("127.0.0.1", "localhost"):
        url = receiver.url.replace("127.0.0.1", host)
        assert "not a public one" in failure(WebhookOptions(url, allow_private=False)).reason
    assert not receiver.got


def test_proxies_of_the_environment_are_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{receiver.port}")
    monkeypatch.setenv("no_proxy", "")
    with Webhook("hook", WebhookOptions("http://alerts.invalid/a/b")) as hook:
        hook.send(notice())
    assert receiver.got[0].path == "http://alerts.invalid/a/b"


UNUSABLE = [
    "", "hooks.example.com", "ftp://example.com/", "http://", "http:///path", "https://a b/", "http://a/\r\nX: y",
    "http://a:99999/", "http://[::1/", "user:hunter2@host/x",
]  # fmt: skip


@pytest.mark.parametrize("url", UNUSABLE)
def test_addresses_that_cannot_be_posted_to(url: str) -> None:
    with pytest.raises(OptionError, match="url: ") as caught:
        WebhookOptions(url)
    assert "hunter2" not in str(caught.value)


def test_options_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMPTY_ONE", "")
    (tmp_path / "two").write_text("a\nb\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfesecret")
    url = "https://example.com/"
    for changes, words in (
        ({"secret_env": "NO_SUCH_ONE"}, "secret_env: 'NO_SUCH_ONE' cannot be used"),
        ({"secret_env": "EMPTY_ONE"}, "secret_env"),
        ({"secret_file": str(tmp_path / "none")}, "No such file"),
        ({"secret_file": str(tmp_path / "two")}, "a file with one line in it"),
        ({"secret_file": str(tmp_path / "binary")}, "it is no UTF-8 text"),
        ({"secret_file": "a", "secret_env": "b"}, "only one of"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"timeout_seconds": float("nan")}, "timeout_seconds"),
        ({"base_url": "cam.example"}, "base_url"),
        ({"ca_file": str(tmp_path / "none")}, "ca_file"),
        ({"ca_file": str(tmp_path / "two")}, "ca_file"),
    ):
        with pytest.raises(OptionError, match=words):
            Webhook("hook", WebhookOptions(url, **changes))
