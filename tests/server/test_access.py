"""Tokens and what they are good for."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.errors import OptionError
from streamer.server.access import EVERYTHING, Access, Tokens


def test_a_token_is_good_for_its_role_and_streams_and_outlasts_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    token = Tokens(path).create("guard", "viewer", ["gate-*"])
    found = Tokens(path).find(token)
    assert found == Access("guard", "viewer", ("gate-*",))
    assert found is not None
    assert found.sees("gate-1")
    assert not found.sees("hall")
    assert not found.admin


def test_only_a_digest_is_kept_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    token = Tokens(path).create("guard", "admin")
    assert token not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0


def test_a_running_server_hears_of_tokens_made_and_removed_elsewhere(tmp_path: Path) -> None:
    running, other = Tokens(tmp_path / "tokens.json", owner="mine"), Tokens(tmp_path / "tokens.json")
    token = other.create("guard", "viewer")
    assert running.find(token) == Access("guard")
    other.remove("guard")
    assert running.find(token) is None
    assert running.find("mine") is EVERYTHING


@pytest.mark.parametrize("token", ["", "x", "\udc80", "mine ", "MINE", "\x00"])
def test_other_tokens_are_good_for_nothing(token: str, tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "tokens.json", owner="mine")
    tokens.create("guard", "viewer")
    assert tokens.find(token) is None
    assert Tokens().find(token) is None


def test_what_cannot_be_made_is_said(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "tokens.json")
    tokens.create("guard", "viewer")
    for name, role, streams in (
        ("guard", "viewer", ()),
        ("", "viewer", ()),
        ("a\nb", "viewer", ()),
        ("owner", "admin", ()),
        ("b", "root", ()),
        ("b", "admin", ("x",)),
        ("b", "viewer", ("",)),
    ):
        with pytest.raises(OptionError):
            tokens.create(name, role, streams)
    with pytest.raises(OptionError, match="guard"):
        tokens.remove("nobody")
    with pytest.raises(OptionError, match="data folder"):
        Tokens().create("b", "viewer")
    assert [access.name for access, _ in tokens.list()] == ["guard"]


def test_a_file_of_tokens_that_is_none_is_said_and_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    tokens = Tokens(path)
    token = tokens.create("guard", "viewer")
    path.write_text("[{")
    with pytest.raises(OptionError, match="move it away"):
        tokens.find(token)
