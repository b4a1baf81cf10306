"""The page in a real browser."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamer.errors import ModelError
from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.monitor import Monitor
from streamer.server import Server
from streamer.tasks import Task
from tests.server.conftest import SETTINGS
from tests.server.looking import OpenPage, follow, said, shows
from tests.server.rig import Camera, eventually, refused

CAPTION = "#said .said-caption"
DRAWN = """(({width, height}, context) =>
    context.getImageData(0, 0, width, height).data.filter((value, place) => place % 4 === 3 && value > 0).length)
    (document.querySelector('#stage .boxes'), document.querySelector('#stage .boxes').getContext('2d'))"""
"""How many pixels boxes cover."""
FIELD = {"caption": "#task-caption", "detect": "#task-detect", "ask": "#task-ask"}


def prompts(monitor: Monitor) -> dict[str, str]:
    return {task.name: task.prompt for task in monitor.status("gate").settings.tasks}


def test_the_page_shows_picture_caption_and_figures(server: Server, open_page: OpenPage) -> None:
    page = open_page(server.url)
    said(page, "said of: Describe this picture in one sentence.")
    shows(page, "document.querySelector('#stage .picture').getContext('2d').getImageData(99, 99, 1, 1).data[0] > 60")
    shows(page, "document.querySelector('#fact-pictures').textContent > '2'")
    assert page.inner_text("#name") == "gate"
    assert page.inner_text("#state") == "Live"
    assert page.inner_text("#link") == "Connected"
    assert "no model has looked at the picture" in page.inner_text("#caveat")
    assert page.inner_text("#fact-model") == "scripted"
    assert "of 280" in page.inner_text("#fact-budget")
    assert page.inner_text("#fact-source") == "640 × 360"
    assert page.inner_text("#fact-age").endswith(" s")
    assert page.input_value(FIELD["detect"]) == "car, dog"
    assert page.title() == "gate · streamer"


def test_a_prompt_changed_on_the_page_arrives_and_is_acknowledged(
    server: Server, monitor: Monitor, open_page: OpenPage
) -> None:
    page = open_page(server.url)
    said(page, "Describe this picture")
    page.fill(FIELD["caption"], "What stands at the gate?")
    page.press(FIELD["caption"], "Enter")
    page.wait_for_selector(".ack[data-kind=good]:has-text('Saved ✓')")
    assert prompts(monitor)["caption"] == "What stands at the gate?"
    said(page, "said of: What stands at the gate?")
    page.fill(FIELD["detect"], "bird, traffic light")
    page.press(FIELD["detect"], "Enter")
    follow(page, lambda: prompts(monitor)["detect"] == "detect bird and traffic light, output only ```json")
    page.fill(FIELD["ask"], "How many?")
    page.press(FIELD["ask"], "Tab")
    said(page, "said of: How many?")
    page.locator("#on-caption").press("Space")
    follow(page, lambda: "caption" not in prompts(monitor))
    page.select_option("#budget", "70")
    page.fill("#fps", "3")
    page.press("#fps", "Enter")
    follow(page, lambda: (monitor.status("gate").settings.budget, monitor.status("gate").settings.fps) == (70, 3))
    page.click("#pause")
    follow(page, lambda: monitor.status("gate").settings.paused)
    shows(page, "document.querySelector('#state').textContent === 'Live, analysis paused'")


def test_answers_that_are_kept_are_marked_and_counted_and_the_gate_is_set_live(
    server: Server, monitor: Monitor, open_page: OpenPage
) -> None:
    page = open_page(server.url)
    said(page, "Describe this picture")
    assert page.locator(".said-reused").count() == 0
    assert page.input_value("#gate") == "0"
    page.fill("#gate", "0.9")
    page.press("#gate", "Enter")
    follow(page, lambda: monitor.status("gate").settings.gate == 0.9)
    page.wait_for_selector(".said-reused:has-text('Nothing has changed')")
    shows(page, "document.querySelector('#fact-reused').textContent.match(/^[1-9]/) !== null")
    page.wait_for_selector("#timeline .entry:has-text('unchanged')")
    assert "reused" not in page.inner_text("#fact-lost")
    assert page.inner_text(CAPTION).startswith("said of: Describe"), "the answer itself stays"
    page.select_option("#budget", "auto")
    follow(page, lambda: monitor.status("gate").settings.budget == "auto")
    shows(page, "document.querySelector('#fact-budget').textContent.endsWith(', auto')")
    page.fill("#gate", "0")
    page.press("#gate", "Enter")
    shows(page, "document.querySelector('.said-reused') === null")


def test_what_is_asked_no_more_is_shown_no_more(server: Server, monitor: Monitor, open_page: OpenPage) -> None:
    """Also where no result comes any longer that would take its place."""
    page = open_page(server.url)
    said(page, "Describe this picture")
    shows(page, f"({DRAWN}) > 0")
    page.locator("#on-detect").press("Space")
    shows(page, f"({DRAWN}) === 0 && !document.querySelector('#said .entry-labels')")
    page.locator("#on-caption").press("Space")
    said(page, "Nothing is asked of the model. Switch a task on to begin.")
    assert "said of" not in page.inner_text("#said")
    page.wait_for_timeout(1000)
    assert page.evaluate(DRAWN) == 0
    assert "said of" in page.inner_text("#timeline"), "what was said stays said"
    page.locator("#on-detect").press("Space")
    shows(page, f"({DRAWN}) > 0")
    page.locator("#on-caption").press("Space")
    said(page, "Describe this picture")


def test_what_the_server_refuses_is_said_in_place(server: Server, monitor: Monitor, open_page: OpenPage) -> None:
    page = open_page(server.url)
    said(page, "Describe")
    page.fill("#fps", "999")
    page.press("#fps", "Enter")
    page.wait_for_selector(".ack[data-kind=bad]:has-text('a number from 0.01 to 60')")
    assert page.input_value("#fps") == "999", "what was typed stays, to be put right"
    page.press("#fps", "Escape")
    assert page.input_value("#fps") == "5"
    assert monitor.status("gate").settings.fps == 5


def test_two_viewers_see_each_others_changes_but_no_field_is_overwritten(server: Server, open_page: OpenPage) -> None:
    one, two = open_page(server.url), open_page(server.url)
    for page in (one, two):
        said(page, "Describe")
    two.focus(FIELD["caption"])
    two.keyboard.type("half a sen")
    one.fill(FIELD["caption"], "Only cars, please.")
    one.press(FIELD["caption"], "Enter")
    one.select_option("#budget", "140")
    shows(two, "document.querySelector('#budget').value === '140'")
    said(two, "said of: Only cars, please.")
    assert "half a sen" in two.input_value(FIELD["caption"])
    two.wait_for_selector(".ack:has-text('Changed elsewhere meanwhile, to “Only cars, please.”')")
    two.press(FIELD["caption"], "Escape")
    assert two.input_value(FIELD["caption"]) == "Only cars, please."
    two.wait_for_selector(".ack:has-text('Changed elsewhere')", state="hidden")


def test_script_in_a_caption_is_text(open_page: OpenPage) -> None:
    evil = "<script>window.broken = 1</script><img src=x onerror='window.broken = 1'>"
    boxes = '[{"box_2d":[100,100,500,500],"label":"<b onclick=alert(1)>bold</b>"}]'
    model = ScriptedModel(lambda request: boxes if "output only" in request.prompt else evil, name=f"{evil}")
    with Monitor(model) as monitor, Server(monitor, port=0) as server:
        monitor.add(evil, lambda: Camera(), replace(SETTINGS, tasks=(*SETTINGS.tasks, Task.ask(evil))))
        page = open_page(server.url)
        said(page, evil)
        assert page.inner_text(CAPTION) == evil
        assert page.inner_text("#name") == evil
        assert page.locator("#said b, #timeline b").first.inner_text().strip() == evil
        assert (
            page.evaluate("window.broken === undefined && document.querySelectorAll('main img, main script').length")
            == 0
        )


def test_a_fault_of_the_model_is_no_caption(open_page: OpenPage) -> None:
    def script(request: Request) -> str:
        raise ModelError("scripted", "no memory left", "take a smaller budget")

    with Monitor(ScriptedModel(script)) as monitor, Server(monitor, port=0) as server:
        monitor.add("gate", lambda: Camera(), SETTINGS)
        page = open_page(server.url)
        page.wait_for_selector("#said .fault:has-text('no memory left')")
        assert page.locator(CAPTION).count() == 0
        shows(page, "document.querySelector('#fact-lost').textContent.includes('failed')")
        assert page.locator("#timeline .fault").count() >= 1


def test_a_reload_and_a_server_restart_bring_everything_back(monitor: Monitor, open_page: OpenPage) -> None:
    server = Server(monitor, port=0).start()
    page = open_page(server.url)
    said(page, "Describe")
    page.reload()
    said(page, "Describe")
    assert page.locator("#timeline .entry").count() >= 1
    server.close()
    page.wait_for_selector("#banner:has-text('lost')")
    assert page.inner_text("#link") == "Connection lost"
    monitor.change("gate", lambda settings: settings.with_task(Task.caption("What is new?")))
    with Server(monitor, port=server.port):
        shows(page, "document.querySelector('#link').textContent === 'Connected'")
        said(page, "said of: What is new?")
        assert page.is_hidden("#banner")
        assert page.input_value(FIELD["caption"]) == "What is new?"
        shows(page, "document.querySelector('#stage').dataset.old === 'false'")


def test_a_token_is_taken_from_the_address_and_asked_for_where_it_is_missing(
    monitor: Monitor, open_page: OpenPage
) -> None:
    with Server(monitor, port=0, token="sesame-123") as server:
        page = open_page(server.url)
        said(page, "Describe")
        assert page.url == server.address
        page.reload()
        said(page, "Describe")
        stranger = open_page(server.address)
        stranger.wait_for_selector("#banner input")
        stranger.fill("#banner input", "wrong")
        stranger.click("#banner button")
        stranger.wait_for_selector("#banner:has-text('does not know this token')")
        assert stranger.inner_text("#said") == ""
        stranger.fill("#banner input", "sesame-123")
        stranger.click("#banner button")
        said(stranger, "Describe")


@pytest.fixture
def many(monitor: Monitor) -> Monitor:
    monitor.add("dead", refused, SETTINGS)
    monitor.add("short", lambda: Camera((300, 400), last=4), SETTINGS)
    return monitor


def test_several_streams_stand_side_by_side(many: Monitor, open_page: OpenPage) -> None:
    with Server(many, port=0) as server:
        page = open_page(server.url)
        page.wait_for_selector(".tile:has-text('dead'):has-text('Failed')")
        assert page.locator(".tile").count() == 3
        page.click(".tile:has-text('dead')")
        page.wait_for_selector("#stage .stage-note:has-text('connection refused')")
        assert "secret" not in page.content()
        page.locator(".tile:has-text('short')").press("Enter")
        page.wait_for_selector("#stage .stage-note:has-text('The video has ended')")
        middle = "c => c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data[3]"
        follow(page, lambda: page.eval_on_selector("#stage .picture", middle) > 0)
        page.click("#stage .stage-note button")
        follow(page, lambda: many.status("short").counts["pictures"] == 8)
        page.wait_for_selector("#stage .stage-note:has-text('The video has ended')")
        many.remove("short")
        shows(page, "document.querySelectorAll('.tile').length === 2")
        assert page.inner_text("#name") == "gate"


def test_a_hidden_page_wants_no_pictures(server: Server, camera: Camera, open_page: OpenPage) -> None:
    page = open_page(server.url)
    shows(page, "document.querySelector('#stage .picture').getContext('2d').getImageData(99, 99, 1, 1).data[3] > 0")
    page.evaluate("""() => {
      Object.defineProperty(document, "hidden", { value: true, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }""")
    page.wait_for_timeout(400)
    before = camera.scaled.count((640, 360))
    page.wait_for_timeout(600)
    assert camera.scaled.count((640, 360)) == before


def test_without_streams_the_page_says_what_to_do(open_page: OpenPage) -> None:
    with Monitor(ScriptedModel()) as monitor, Server(monitor, port=0, admit=lambda address: Camera) as server:
        page = open_page(server.url)
        page.wait_for_selector("#stage .stage-note:has-text('No stream is being watched')")
        page.fill("#add-name", "yard")
        page.fill("#add-address", "drawn:")
        page.click("button:has-text('Add')")
        said(page, "picture(s)")
        assert page.inner_text("#name") == "yard"


def test_the_timeline_keeps_the_readers_place_and_is_bounded(open_page: OpenPage) -> None:
    count = iter(range(100_000))
    model = ScriptedModel(lambda request: f"caption number {next(count)}")
    with Monitor(model) as monitor, Server(monitor, port=0) as server:
        monitor.add("gate", lambda: Camera(fps=60), replace(SETTINGS, fps=50, tasks=(Task.caption(),)))
        page = open_page(server.url)
        shows(page, "document.querySelectorAll('#timeline .entry').length > 30")
        page.evaluate("document.querySelector('#timeline').scrollTop = 300")
        reading = (
            "() => { const list = document.querySelector('#timeline'); const top = list.getBoundingClientRect().top;"
            " return [...list.children].find(e => e.getBoundingClientRect().bottom > top + 1).textContent; }"
        )
        page.wait_for_timeout(50)
        first = page.evaluate(reading)
        page.wait_for_selector("#newest:has-text('new')")
        assert page.evaluate(reading) == first
        page.click("#newest")
        shows(page, "document.querySelector('#timeline').scrollTop < 8")
        page.wait_for_selector("#newest", state="hidden")
        shows(page, "document.querySelectorAll('#timeline .entry').length >= 99")
        page.wait_for_timeout(400)
        assert page.locator("#timeline .entry").count() <= 100


@pytest.mark.parametrize("width", [375, 1000, 1600])
def test_no_width_scrolls_sideways(many: Monitor, open_page: OpenPage, width: int) -> None:
    many.change("gate", lambda settings: settings.with_task(Task.caption("W" * 300)))
    with Server(many, port=0) as server:
        page = open_page(server.url, viewport={"width": width, "height": 812})
        said(page, "W" * 300)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_keyboard_reaches_everything(server: Server, open_page: OpenPage) -> None:
    page = open_page(server.url)
    said(page, "Describe")
    shows(page, "!document.querySelector('#save').disabled")
    reached = set()
    for _ in range(24):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
    wanted = {
        "skip",
        "sound",
        "notices",
        "theme",
        "save",
        "pause",
        "on-caption",
        "task-caption",
        "on-detect",
        "task-detect",
        "on-ask",
        "task-ask",
    }
    assert wanted | {"budget", "fps", "timeline"} <= reached
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input, select, textarea')].filter(e => e.offsetParent && !e.ariaLabel"
        " && !e.textContent.trim() && !e.labels?.length).map(e => e.outerHTML)"
    )
    assert unnamed == []


def test_the_theme_that_was_chosen_stays(server: Server, open_page: OpenPage) -> None:
    page = open_page(server.url, color_scheme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.click("#theme")
    dark = page.evaluate(background)
    assert dark != light
    page.reload()
    assert page.evaluate(background) == dark


def test_no_request_leaves_the_server(server: Server, open_page: OpenPage) -> None:
    page = open_page("about:blank")
    asked: list[str] = []
    failed: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None)
    page.goto(server.url)
    said(page, "Describe")
    assert all(url.startswith((server.address, "ws://127.0.0.1", "blob:")) for url in asked)
    assert failed == []
    eventually(lambda: server.viewers == 1)
