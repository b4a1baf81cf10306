"""A history that has had more results than 32 bits can count."""

from __future__ import annotations

from sqlalchemy import text

from streamer.history.schema import RESULTS
from tests.history.conftest import Open
from tests.history.made import NOW, result


def test_results_are_kept_beyond_two_to_the_31st(opened: Open, url: str | None) -> None:
    history = opened()
    with history._database.writing() as connection:
        if url is None:
            connection.execute(
                RESULTS.insert().values(id=2**31 - 2, stream="old", at=1, until=1, words="", document="{}")
            )
            connection.execute(RESULTS.delete())
        else:
            connection.execute(text("SELECT setval(pg_get_serial_sequence('results', 'id'), 2147483646)"))
    for number in range(4):
        history.put(result(f"number {number}"), NOW + number, b"x" * 10)
    history.flush(10)
    found = history.search(limit=10)
    assert [one.caption for one in found] == [f"number {number}" for number in (3, 2, 1, 0)]
    assert found[0].id > 2**31
    assert history.result(found[0].id).caption == "number 3"
    assert (history.dropped, history.fault) == (0, None)
