"""Which tokens may follow, so that an answer is a JSON document of a given schema and can be nothing else.

llguidance does the work. It reads Gemma's tokenizers as they are (byte fallback, several end tokens), tells which text
is forced, refuses what it cannot promise, and is one wheel of 3 MB for every Python and system that needs nothing else.
With 262,144 tokens it gives a mask in 1 ms, at once; xgrammar took 44 s to compile a string of at most 160 characters,
then 258 ms a mask, and passes over keywords that it does not know (``not``, ``uniqueItems``, lookahead); outlines-core
had no index after 4 minutes, passes over some too, and forces nothing.

Answers are written on one line with ``", "`` and ``": "`` between (as ``json.dumps`` and the models themselves do),
their properties in the schema's order. A string may still go on until the limit of tokens: then
`Constraint.completed` cuts the answer back just as far as is needed to end it validly.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper
from llguidance.hf import from_tokenizer

from streamer.errors import OptionError
from streamer.gemma.schemas import as_text, one_line, refused

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions

    from streamer.gemma.checkpoint import Checkpoint

_REMEMBERED = 32
"""Schemas kept compiled."""
_WRITING: JsonCompileOptions = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "coerce_one_of": False,
    "lenient": False,
}
_SEARCHED, _SEARCHED_A_VALUE = 500, 2000
"""States looked at for the end of a document, and for that of one value, before giving up."""
_LONGEST = 20_000
"""Bytes of an end that is worth finding."""
_ORDINARY = frozenset(range(0x20, 0x7F)) - frozenset(b"\\[{")
_RARE, _NEVER = 100, 10**6
"""Prices, in the search for the end, of a byte that is not ordinary; the others cost 1."""
_QUOTE = re.compile(rb'(?<!\\)(?:\\\\)*"')
_INSIDE_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\(?:u[0-9a-fA-F]{0,3})?\Z")


class Grammars:
    """Constraints for the answers of one checkpoint. Reads the tokenizer at the first schema; not thread-safe."""

    def __init__(self, tokenizer: Any, end_ids: Iterable[int], vocabulary: int) -> None:
        """``tokenizer``: a fast one of transformers. ``vocabulary``: width of the logits."""
        self._tokenizer, self._end_ids, self._width = tokenizer, tuple(sorted(end_ids)), vocabulary
        self._vocabulary: _Vocabulary | None = None
        self._compiled = lru_cache(maxsize=_REMEMBERED)(self._compile)

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Grammars:
        """The grammars in ``checkpoint``'s tokens."""
        width = checkpoint.model.config.get_text_config().vocab_size
        return cls(checkpoint.tokenizer, checkpoint.end_ids, width)

    def constraint(self, schema: Mapping[str, Any]) -> Constraint:
        """For one answer. Raises `OptionError` with the reason for what is no schema or cannot be promised."""
        return Constraint(self._compiled(as_text(schema)))

    def _compile(self, schema: str) -> _Grammar:
        if self._vocabulary is None:
            self._vocabulary = _Vocabulary(self._tokenizer, self._end_ids, self._width)
        return _Grammar(schema, self._vocabulary)


class Constraint:
    """What may follow in one answer; made by `Grammars.constraint`."""

    def __init__(self, grammar: _Grammar) -> None:
        self._grammar = grammar
        self._state = grammar.tokens.deep_copy()
        self._taken: list[int] = []
        self._ended = False

    @property
    def taken(self) -> tuple[int, ...]:
        """The tokens so far, without an end token."""
        return tuple(self._taken)

    @property
    def valid(self) -> bool:
        """Whether the text so far is a document of the schema (a number may be, and yet go on)."""
        return bool(self._state.is_accepting())

    @property
    def finished(self) -> bool:
        """Whether nothing can follow but an end token."""
        return self._ended or bool(self._state.is_stopped())

    @property
    def least_tokens(self) -> int:
        """Tokens of the shortest answer, an end token not counted: a smaller limit cannot be kept."""
        return len(self._grammar.shortest)

    def allowed(self) -> torch.Tensor:
        """The ids that may come next: ``(vocabulary,)`` bool on the CPU."""
        return self._grammar.unpack([self._grammar.mask(self._state)])[0]

    def masks(self, draft: Sequence[int]) -> torch.Tensor:
        """``(positions, vocabulary)`` bool on the CPU: at ``i`` what may follow ``draft[:i]``.

        There are as many positions as the draft is allowed, and one more: ``len(draft) + 1`` at most, 1 where its
        first token is not allowed. Nothing follows an end token. The state stays as it is.
        """
        state = self._state.deep_copy()
        masks = [self._grammar.mask(state)]
        for token in draft:
            if not self._grammar.advance(state, token):
                break
            masks.append(self._grammar.mask(state))
        return self._grammar.unpack(masks)

    def forced(self) -> list[int]:
        """Tokens whose text is the only one that can follow, spelled as the tokenizer spells it; may be empty.

        An end token is not among them. The masks may allow to spell the same text by other tokens.
        """
        if self.finished:
            return []
        tokens = list(self._state.compute_ff_tokens())
        return tokens[: self._state.validate_tokens(tokens)]

    def take(self, token: int) -> None:
        """Goes on by ``token``. Raises `ValueError`, and stays as it is, where that is not allowed."""
        if self._ended:
            raise ValueError(f"token {token} behind the end of the answer")
        if token in self._grammar.end_ids:
            if not self.valid:
                raise ValueError(f"end token {token} before the answer is complete")
            self._ended = True
            self._state.try_consume_tokens([token])
        elif self._grammar.advance(self._state, token):
            self._taken.append(token)
        else:
            raise ValueError(f"token {token} is not allowed here")

    def completed(self, limit: int) -> list[int]:
        """The whole answer in at most ``limit`` tokens, without an end token: what to keep where the limit cuts it.

        As many of the tokens taken as leave room for a valid end, never half a character, then the shortest end.
        Properties that were not reached get the shortest value that the schema allows, which says nothing about the
        picture. Raises `OptionError` where ``limit`` is below `least_tokens`.
        """
        kept = min(limit, len(self._taken))
        while kept > 0:
            end = self._grammar.end_behind(self._taken[:kept])
            excess = 1 if end is None else kept + len(end) - limit
            if end is not None and excess <= 0:
                return self._taken[:kept] + end
            kept -= excess
        if self.least_tokens > limit:
            raise OptionError("max_tokens", limit, f"at least {self.least_tokens} for this schema")
        return list(self._grammar.shortest)


class _Vocabulary:
    """One tokenizer as llguidance reads it, and beside it an alphabet of single bytes."""

    def __init__(self, tokenizer: Any, end_ids: Sequence[int], width: int) -> None:
        self.end_ids, self.width = frozenset(end_ids), width
        size = max(len(tokenizer), width)
        try:
            self.tokens = from_tokenizer(tokenizer, n_vocab=size, eos_token=list(end_ids))
        except ValueError as error:
            raise OptionError(
                "schema", type(tokenizer).__name__, f"a tokenizer that llguidance reads: {error}"
            ) from error
        self.bytes = LLTokenizer(TokenizerWrapper(_Bytes()))
        added = tokenizer.added_tokens_decoder
        special = {number for number, token in added.items() if token.special} | set(tokenizer.all_special_ids)
        self.unusable = frozenset(special - self.end_ids)


class _Bytes:
    """256 tokens of a byte each, and an end token."""

    eos_token_id = 256
    bos_token_id = None
    special_token_ids = (256,)
    tokens = (*(bytes([byte]) for byte in range(256)), b"<eos>")

    def __call__(self, text: bytes) -> list[int]:
        return list(text)


class _Grammar:
    """A compiled schema in its first state, in tokens and in bytes."""

    def __init__(self, schema: str, vocabulary: _Vocabulary) -> None:
        self._vocabulary = vocabulary
        text = _checked(schema, vocabulary.tokens)
        self.tokens = LLMatcher(vocabulary.tokens, text, log_level=0)
        self._bytes = LLMatcher(vocabulary.bytes, text, log_level=0)
        shortest = self.end_behind(())
        if shortest is None:
            raise refused(schema, "its shortest document is too long or too hard to find")
        self.shortest: tuple[int, ...] = tuple(shortest)

    @property
    def end_ids(self) -> frozenset[int]:
        return self._vocabulary.end_ids

    def advance(self, state: LLMatcher, token: int) -> bool:
        """Whether ``state`` could be taken on by ``token``, which is no end token; if not, it stays as it is."""
        known = 0 <= token < self._vocabulary.width and token not in self._vocabulary.unusable
        if not known or token in self.end_ids:
            return False
        return bool(state.try_consume_tokens([token]))

    def mask(self, state: LLMatcher) -> bytes:
        """One bit a token. Raises `OptionError` where the schema proves too complex on the way."""
        mask = state.compute_bitmask()
        if state.is_error():
            raise OptionError("schema", "it", f"a simpler one: {one_line(state.get_error())}")
        return bytes(mask)

    def unpack(self, masks: Sequence[bytes]) -> torch.Tensor:
        """``(masks, vocabulary)`` bool."""
        bits = np.frombuffer(b"".join(masks), np.uint8).reshape(len(masks), -1)
        allowed = np.unpackbits(bits, axis=1, count=self._vocabulary.width, bitorder="little").view(np.bool_)
        allowed[:, [number for number in self._vocabulary.unusable if number < allowed.shape[1]]] = False
        return torch.from_numpy(allowed)

    def end_behind(self, taken: Sequence[int]) -> list[int] | None:
        """The shortest end behind ``taken``; None amid a character or an escape, or where none is found."""
        tokens = self._vocabulary.tokens
        text = tokens.decode_bytes(list(taken))
        if not _whole(text):
            return None
        state = self._bytes.deep_copy()
        end = _soonest_end(text, state) if state.consume_tokens(list(text)) else None
        if end is None:
            return None
        state = self.tokens.deep_copy()
        state.consume_tokens(list(taken))
        for spelled in (tokens.tokenize_bytes(end), tokens.greedy_tokenize(end.decode())):
            if tokens.decode_bytes(spelled) == end and state.validate_tokens(spelled) == len(spelled):
                return list(spelled)
        return None


def _checked(schema: str, tokens: LLTokenizer) -> str:
    """``schema`` as llguidance's grammar."""
    try:
        grammar = LLMatcher.grammar_from_json_schema(schema, overrides=_WRITING)
    except ValueError as error:
        raise refused(schema, str(error)) from error
    failed, messages = LLMatcher.validate_grammar_with_warnings(grammar, tokens)
    if failed:
        raise refused(schema, " ".join(messages))
    return grammar


def _whole(text: bytes) -> bool:
    """Whether ``text`` stops between characters."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return _INSIDE_ESCAPE.search(text) is None


def _soonest_end(text: bytes, start: LLMatcher) -> bytes | None:
    """The fewest bytes that end a document behind ``text``; where that is a long way, hardly more than the fewest."""
    end = _search(start, lambda end, state: bool(state.is_accepting()), _SEARCHED)
    return _eager_end(text, start) if end is None else end


def _eager_end(text: bytes, start: LLMatcher) -> bytes | None:
    """Value by value: the shortest for each, and behind it nothing that could be left out."""
    state, end = start.deep_copy(), b""
    while not state.is_accepting():
        step = bytes(state.compute_ff_bytes()) or _closer(text + end, state)
        if not step:
            arrived = partial(_at_value_end, text + end)
            found = _search(state, arrived, _SEARCHED_A_VALUE, _NEVER) or _search(state, arrived, _SEARCHED_A_VALUE)
            if found is None or len(end) > _LONGEST:
                return None
            step = found
        state.consume_tokens(list(step))
        end += step
    return end


def _at_value_end(text: bytes, end: bytes, state: LLMatcher) -> bool:
    if state.is_accepting():
        return True
    if not end or _in_string(text + end):
        return False
    return bool(state.compute_ff_bytes() or _closer(text + end, state))


def _closer(text: bytes, state: LLMatcher) -> bytes:
    """What leads away from a complete value: the end of the object or array if allowed, else a comma, or nothing."""
    if _in_string(text):
        return b""
    allowed = _bytes_of(state.compute_bitmask())
    return next((bytes([byte]) for byte in b"}]," if byte in allowed), b"")


def _in_string(text: bytes) -> bool:
    return len(_QUOTE.findall(text)) % 2 == 1


def _search(
    start: LLMatcher, arrived: Callable[[bytes, LLMatcher], bool], most: int, rare: int = _RARE
) -> bytes | None:
    """Dijkstra's search for the fewest bytes to a state that has ``arrived``; None after looking at ``most``.

    ``rare``: the price of a byte that is not ordinary.

    States of one price that allow the same bytes are taken for the same, so that the letters of a free string count
    as one; behind a byte that is not ordinary, so are states of about one price. Where they were not, another way is
    found, or none.
    """
    order = count()
    waiting = [(0, next(order), b"", start.deep_copy())]
    seen: set[tuple[bool, int, bytes]] = set()
    for _ in range(most):
        if not waiting:
            return None
        price, _, end, state = heapq.heappop(waiting)
        if arrived(end, state):
            return end
        forced = state.compute_ff_bytes()[:1]
        for byte in forced or _bytes_of(state.compute_bitmask()):
            state.consume_token(byte)
            ordinary = bool(forced) or byte in _ORDINARY
            reached = price + (1 if ordinary else rare)
            key = (ordinary, reached if ordinary else reached // rare, bytes(state.compute_bitmask()))
            if forced or key not in seen:
                seen.add(key)
                heapq.heappush(waiting, (reached, next(order), end + bytes([byte]), state.deep_copy()))
            state.rollback(1)
    return None


def _bytes_of(mask: bytes) -> list[int]:
    """The bytes allowed by ``mask``."""
    allowed: list[int] = np.flatnonzero(np.unpackbits(np.frombuffer(mask, np.uint8), bitorder="little")[:256]).tolist()
    return allowed
