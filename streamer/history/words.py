"""Words: what a text is found by, and what a person's words ask for. The same for every database.

Neither database cuts texts into words itself: FTS5 and PostgreSQL's parser do not agree on hyphens, numbers, addresses
and new letters. Each is given the words made here, and asked for words made here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

FENCE = "¶"
"""Stands between texts as a word that cannot be asked for, so that no phrase goes from one text into the next."""
LONGEST_WORD = 60
"""Letters; longer words are cut, also in questions. PostgreSQL takes 2,046 bytes."""
MOST_WORDS = 5000
"""Of one result; those behind are not found."""
MOST_TERMS = 32
"""Of one question; those behind are left out."""

_ASCII_WORD = re.compile(r"[a-z0-9]+")
_TERM = re.compile(r'"(?P<phrase>[^"]*)(?P<closed>"?)|(?P<word>[^\s"]+)')
_ALONE = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Letters of scripts that put no spaces between words: each is a word, and several in a row are a phrase."""


@dataclass(frozen=True, slots=True)
class Term:
    """Words that must stand next to each other in this order."""

    words: tuple[str, ...]
    prefix: bool = False
    """Whether the last of them may go on."""


def words_of(text: str) -> list[str]:
    """The words of a text in their order: letters, digits and their marks, in one case and one Unicode form.

    >>> words_of("A RED car (B-MW 123)")
    ['a', 'red', 'car', 'b', 'mw', '123']
    """
    if text.isascii():
        found: Iterable[str] = _ASCII_WORD.findall(text.lower())
    else:
        form = unicodedata.normalize("NFKC", text).casefold()
        found = _words(unicodedata.normalize("NFKC", form))
    return [word[:LONGEST_WORD] for word in found]


def _words(text: str) -> Iterator[str]:
    word = ""
    for letter in text:
        belongs = letter.isalnum() or unicodedata.category(letter).startswith("M")
        if belongs and not _ALONE.match(letter):
            word += letter
            continue
        if word:
            yield word
        word = ""
        if belongs:
            yield letter
    if word:
        yield word


def indexed(texts: Iterable[str]) -> str:
    """What a database keeps of texts, to be found by: their words between spaces."""
    words: list[str] = []
    for text in texts:
        words += [FENCE, *words_of(text)] if words else words_of(text)
    return " ".join(words[:MOST_WORDS])


def terms_of(text: str) -> list[Term]:
    """What a person asks for: every word must be there, the last may go on, and ``"quoted words"`` are a phrase.

    >>> terms_of('"red car" near gat')
    [Term(words=('red', 'car'), prefix=False), Term(words=('near',), prefix=False), Term(words=('gat',), prefix=True)]
    """
    terms: list[Term] = []
    for found in _TERM.finditer(text):
        words = words_of(found["word"] or found["phrase"] or "")
        if words:
            terms.append(Term(tuple(words[:MOST_TERMS]), prefix=not found["closed"]))
    del terms[MOST_TERMS:]
    return [replace(term, prefix=False) for term in terms[:-1]] + terms[-1:]


def as_fts5(terms: Sequence[Term]) -> str:
    """An FTS5 query. Words have letters and digits alone, so there is nothing to escape."""
    return " AND ".join(f'"{" ".join(term.words)}"' + ("*" if term.prefix else "") for term in terms)


def as_tsquery(terms: Sequence[Term]) -> str:
    """A tsquery of all words; `as_patterns` says which of them must stand together."""
    lexemes = []
    for term in terms:
        *words, last = term.words
        lexemes += [f"'{word}'" for word in words] + [f"'{last}':*" if term.prefix else f"'{last}'"]
    return " & ".join(lexemes)


def as_patterns(terms: Sequence[Term]) -> list[str]:
    """A LIKE pattern a phrase, for the words of `indexed` with a space before and behind."""
    return [f"% {' '.join(term.words)}{'' if term.prefix else ' '}%" for term in terms if len(term.words) > 1]


def snippet(texts: Sequence[str], terms: Sequence[Term], letters: int = 160) -> str:
    """About ``letters`` letters of the first text that has one of the words, around it; else the first text's start."""
    for text in texts:
        for match in re.finditer(r"[^\W_]+", text):
            if any(_hits(term, word) for term in terms for word in words_of(match[0])):
                return _around(text, match.start(), letters)
    return _around(texts[0], 0, letters) if texts else ""


def _hits(term: Term, word: str) -> bool:
    return word in term.words or (term.prefix and word.startswith(term.words[-1]))


def _around(text: str, place: int, letters: int) -> str:
    start = 0 if len(text) <= letters else max(0, min(place - letters // 4, len(text) - letters))
    part = " ".join(text[start : start + letters].split())
    return ("…" if start else "") + part + ("…" if start + letters < len(text) else "")
