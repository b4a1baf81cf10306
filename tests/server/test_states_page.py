"""What Live says of a stream that has no answer, of a lost connection, and to somebody without a token."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamer.models.scripted import ScriptedModel
from streamer.monitor import Monitor
from streamer.server import Server
from tests.server.conftest import SETTINGS
from tests.server.looking import OpenPage, said, shows
from tests.server.rig import Camera, refused


@pytest.fixture
def several(monitor: Monitor) -> Monitor:
    """Beside the one that lives: one that cannot be opened and one that is paused."""
    monitor.add("dead", refused, SETTINGS)
    monitor.add("still", lambda: Camera((320, 180), fps=5), replace(SETTINGS, paused=True))
    return monitor


def test_why_nothing_is_said(several: Monitor, open_page: OpenPage) -> None:
    with Server(several, port=0) as server:
        page = open_page(server.url)
        page.click(".tile:has-text('dead')")
        said(page, "No answer: the source cannot be read.")
        page.click(".tile:has-text('still')")
        said(page, "Analysis is paused: no answers come.")
        shows(page, "document.querySelector('#state').textContent === 'Live, analysis paused'")
        dots = "[...document.querySelectorAll('.tile .state')].map(one => one.dataset.state).join()"
        shows(page, f"{dots} === 'live,failed,paused'")
        several.change("still", lambda settings: replace(settings, paused=False))
        said(page, "said of")


def test_a_lost_connection_leaves_nothing_that_says_live(several: Monitor, open_page: OpenPage) -> None:
    server = Server(several, port=0).start()
    page = open_page(server.url)
    said(page, "said of")
    shows(page, "!document.querySelector('#save').disabled")  # a picture is there
    server.close()
    page.wait_for_selector("#banner:has-text('lost')")
    states = "[...document.querySelectorAll('#state, .tile .state')]"
    shows(page, f"{states}.every(one => one.textContent === 'No connection' && one.dataset.state === 'unknown')")
    page.wait_for_selector("#stage .stage-note:has-text('No connection to the server')")
    said(page, "said of")  # what was said stays
    page.click(".tile:has-text('still')")
    said(page, "No connection: no answers come.")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    shows(page, "document.querySelector('#banner').getBoundingClientRect().top >= 0", 10)
    assert page.evaluate("document.querySelector('#banner').getBoundingClientRect().top") < 100
    with Server(several, port=server.port):
        shows(page, "document.querySelector('#link').textContent === 'Connected'")
        shows(page, f"{states}.every(one => one.textContent !== 'No connection')")


def test_who_has_no_token_is_told_whom_to_ask_and_sees_no_empty_figures(open_page: OpenPage) -> None:
    with Monitor(ScriptedModel()) as monitor, Server(monitor, port=0, token="sesame-123") as server:
        page = open_page(server.address)
        page.wait_for_selector("#banner:has-text('ask whoever runs it')")
        assert page.is_hidden("#facts")


def test_every_figure_says_what_it_means(server: Server, open_page: OpenPage) -> None:
    page = open_page(server.url)
    said(page, "said of")
    titles = page.evaluate("[...document.querySelectorAll('#facts > div')].map(one => one.title)")
    assert len(titles) == len(set(titles)) > 10
    assert all(len(title) > 15 for title in titles)
