"""One job for the tests that only look, one a test for those that change it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.server.api.serving import Served, of_streams, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Whoever is on this machine may do everything."""
    folder = tmp_path_factory.mktemp("api")
    with serving(folder, of_streams("gate", "yard/north %2F", allow=(str(folder),))) as served:
        yield served


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client
