"""Words: the same for what is kept and for what is asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.history.words import FENCE, LONGEST_WORD, Term, as_tsquery, indexed, snippet, terms_of, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A RED car.", ["a", "red", "car"]),
        ("semi-trailer_7 don't", ["semi", "trailer", "7", "don", "t"]),
        ("B-MW 1234, 3.5 m", ["b", "mw", "1234", "3", "5", "m"]),
        ("Straße GRÖSSE ÉTÉ", ["strasse", "grösse", "été"]),
        ("e\u0301te\u0301", ["été"]),
        ("ﬁre № ２", ["fire", "no", "2"]),
        ("红色 car", ["红", "色", "car"]),
        ("नमस्ते", ["नमस्ते"]),
        ("¶ ! \0 ''", []),
        ("x" * 100, ["x" * LONGEST_WORD]),
    ],
)
def test_texts_are_cut_into_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@given(st.text())
def test_words_have_nothing_that_a_query_could_trip_over(text: str) -> None:
    for word in words_of(text):
        assert word
        assert not set(word) & set(" \"'*:()%_\\&|!<>-^\0" + FENCE)
        assert words_of(word) == [word] or len(word) == LONGEST_WORD


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("red car", [Term(("red",)), Term(("car",), prefix=True)]),
        ('"red car" gate', [Term(("red", "car")), Term(("gate",), prefix=True)]),
        ('gate "red car"', [Term(("gate",)), Term(("red", "car"))]),
        ('gate "red ca', [Term(("gate",)), Term(("red", "ca"), prefix=True)]),
        ("semi-trailer !!", [Term(("semi", "trailer"), prefix=True)]),
        ("红色", [Term(("红", "色"), prefix=True)]),
        ("NOT (a OR b)*", [Term(("not",)), Term(("a",)), Term(("or",)), Term(("b",), prefix=True)]),
        ('"" - ""', []),
    ],
)
def test_questions_are_a_persons_words(text: str, terms: list[Term]) -> None:
    assert terms_of(text) == terms


def test_a_phrase_does_not_go_from_one_text_into_the_next() -> None:
    assert indexed(["a red", "", "car"]) == f"a red {FENCE} {FENCE} car"
    assert as_tsquery(terms_of(FENCE)) == ""


def test_the_snippet_is_around_the_words() -> None:
    long = "nothing here. " * 40 + "A red car waits. " + "nothing here. " * 40
    part = snippet(["first text", long], terms_of("red"))
    assert "A red car waits" in part
    assert part[0] == part[-1] == "…"
    assert len(part) <= 162
    assert snippet(["first text", long], ()) == "first text"
    assert snippet([], ()) == ""
