"""Waiting for what a page shows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

OpenPage = Callable[..., Any]
"""``open_page(url, **context options)`` -> playwright's page"""


def said(page: Any, words: str) -> None:
    follow(page, lambda: words in (page.text_content("#said") or ""))


def follow(page: Any, condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Waits until the condition holds while the page lives on."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:g} s"
        page.wait_for_timeout(30)


def shows(page: Any, expression: str, seconds: float = 30.0) -> None:
    """Waits until the expression is true on the page (playwright's own wait needs eval, which the page forbids).

    What throws is not true yet: a view that was just chosen has not its elements at once.
    """
    guarded = f"(() => {{ try {{ return Boolean({expression}); }} catch {{ return false; }} }})()"
    follow(page, lambda: page.evaluate(guarded), seconds)
