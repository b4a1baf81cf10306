"""Answers by JSON schema: whatever the model chooses among the allowed tokens is a document of the schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from streamer.errors import OptionError
from streamer.gemma import constraint as module
from streamer.gemma.constraint import Constraint, Grammars
from streamer.gemma.forms import CHECK_SCHEMA
from tests.families import SPECIAL, build_tokenizer

TINY = Path(module.__file__).parent / "tiny"


class Tongue:
    """A tokenizer with its grammars, and what a token stands for, told without the library."""

    def __init__(self, tokenizer: Any, ends: tuple[int, ...], padding: int) -> None:
        self.tokenizer, self.ends = tokenizer, ends
        self.width = len(tokenizer) + padding
        self.grammars = Grammars(tokenizer, ends, self.width)

    def text(self, ids: list[int] | tuple[int, ...]) -> str:
        """As the engine reads answers."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def bytes(self, token: int) -> bytes:
        piece = str(self.tokenizer.convert_ids_to_tokens(token))
        if len(piece) == 6 and piece.startswith("<0x"):
            return bytes([int(piece[3:5], 16)])
        return piece.replace("▁", " ").encode()


TONGUES = {
    "tiny": Tongue(AutoTokenizer.from_pretrained(TINY), (1, 9, 10), padding=0),
    "family": Tongue(build_tokenizer(), (1, 5, 13), padding=73),
}
tongues = pytest.mark.parametrize("tongue", TONGUES.values(), ids=TONGUES)


def allowed(constraint: Constraint) -> list[int]:
    ids: list[int] = constraint.allowed().nonzero()[:, 0].tolist()
    return ids


def after(tongue: Tongue, schema: Mapping[str, Any], text: str) -> Constraint:
    """A constraint that has taken ``text``."""
    constraint = tongue.grammars.constraint(schema)
    for token in tongue.ids(text):
        constraint.take(token)
    return constraint


def wander(tongue: Tongue, schema: Mapping[str, Any], random: Random, most: int) -> Constraint:
    """A constraint that has taken up to ``most`` tokens drawn from its masks, or forced ones; perhaps an end token."""
    constraint = tongue.grammars.constraint(schema)
    while len(constraint.taken) < most:
        for token in constraint.forced() if random.random() < 0.5 else ():
            constraint.take(token)
        token = random.choice(allowed(constraint))
        constraint.take(token)
        if token in tongue.ends:
            break
    return constraint


def check(schema: Mapping[str, Any], text: str) -> None:
    """That ``text`` is a document of ``schema``, on one line, and can be written again."""
    value = json.loads(text)
    jsonschema.Draft202012Validator(schema).validate(value)
    json.dumps(value, ensure_ascii=False).encode()
    assert "\n" not in text


UNBOUNDED: st.SearchStrategy[dict[str, int]] = st.just({})
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-999, 9999), st.text(max_size=5))
NAMES = st.text('abcxyz_é "\\', min_size=1, max_size=4)


def _bounds(low: str, high: str, most: int) -> st.SearchStrategy[dict[str, int]]:
    pairs = st.tuples(st.integers(0, most), st.integers(0, most)).map(sorted)
    return st.one_of(
        st.just({}), pairs.map(lambda pair: {low: pair[0], high: pair[1]}), pairs.map(lambda p: {low: p[0]})
    )


def _typed(name: str, bounds: st.SearchStrategy[dict[str, int]] = UNBOUNDED) -> st.SearchStrategy[dict[str, Any]]:
    return bounds.map(lambda more: {"type": name, **more})


LEAVES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    SCALARS.map(lambda value: {"const": value}),
    st.lists(SCALARS, min_size=1, max_size=3).map(lambda values: {"enum": values}),
    _typed("boolean"),
    _typed("null"),
    _typed("integer", _bounds("minimum", "maximum", 5000)),
    _typed("number", _bounds("minimum", "maximum", 5000)),
    _typed("string", _bounds("minLength", "maxLength", 9)),
    st.sampled_from(["^[a-c]+$", "^a*é$", "x|yy", r"^\d{3}-\d$"]).map(lambda p: {"type": "string", "pattern": p}),
    st.sampled_from(["date", "time", "uuid", "ipv4"]).map(lambda kind: {"type": "string", "format": kind}),
    st.sampled_from(
        [
            {"type": ["integer", "null"]},
            {"type": "integer", "multipleOf": 7},
            {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 40}]},
            {"oneOf": [{"type": "integer"}, {"type": "string"}]},
        ]
    ),
    st.just({}),
)


@st.composite
def _objects(draw: st.DrawFn, parts: st.SearchStrategy[dict[str, Any]]) -> dict[str, Any]:
    named = draw(st.dictionaries(NAMES, parts, max_size=3))
    schema: dict[str, Any] = {"type": "object", "properties": named}
    if named:
        schema["required"] = draw(st.lists(st.sampled_from(sorted(named)), unique=True))
    if draw(st.booleans()):
        schema["additionalProperties"] = draw(st.one_of(st.booleans(), parts))
    return schema


def _wider(parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    lists = st.tuples(parts, _bounds("minItems", "maxItems", 3))
    return st.one_of(
        _objects(parts),
        lists.map(lambda pair: {"type": "array", "items": pair[0], **pair[1]}),
        st.lists(parts, min_size=1, max_size=2).map(lambda several: {"anyOf": several}),
    )


SCHEMAS = st.recursive(LEAVES, _wider, max_leaves=5)
RANDOMS = st.randoms(use_true_random=False)


@tongues
@given(schema=SCHEMAS, random=RANDOMS, most=st.integers(0, 40), slack=st.integers(-10, 10))
@settings(max_examples=60, deadline=None)
def test_whatever_is_drawn_ends_in_a_valid_document(
    tongue: Tongue, schema: dict[str, Any], random: Random, most: int, slack: int
) -> None:
    constraint = wander(tongue, schema, random, most)
    limit = max(len(constraint.taken) + slack, constraint.least_tokens)
    answer = constraint.completed(limit)
    check(schema, tongue.text(answer))
    assert len(answer) <= limit
    if constraint.valid and slack >= 0:
        assert answer == list(constraint.taken)


@tongues
@given(schema=SCHEMAS, random=RANDOMS, most=st.integers(0, 20))
@settings(max_examples=40, deadline=None)
def test_end_tokens_are_allowed_where_the_text_is_valid_and_nothing_else_where_it_is_finished(
    tongue: Tongue, schema: dict[str, Any], random: Random, most: int
) -> None:
    constraint = wander(tongue, schema, random, most)
    ids = allowed(constraint)
    assert constraint.valid == (set(tongue.ends) <= set(ids)) == bool(set(tongue.ends) & set(ids))
    assert constraint.finished == (set(ids) == set(tongue.ends))
    if constraint.valid:
        check(schema, tongue.text(constraint.taken))


@tongues
@given(schema=SCHEMAS, random=RANDOMS, most=st.integers(0, 12))
@settings(max_examples=40, deadline=None)
def test_masks_of_a_draft_are_those_of_going_step_by_step(
    tongue: Tongue, schema: dict[str, Any], random: Random, most: int
) -> None:
    draft = [*wander(tongue, schema, random, most).taken, *random.choices(range(tongue.width), k=2)]
    drafted, stepping = tongue.grammars.constraint(schema), tongue.grammars.constraint(schema)
    before = drafted.allowed()
    masks = drafted.masks(draft)
    for position, mask in enumerate(masks):
        assert mask.equal(stepping.allowed())
        if position < len(masks) - 1:
            stepping.take(draft[position])
    if len(masks) <= len(draft):
        refused = draft[len(masks) - 1]
        assert refused in tongue.ends or not masks[-1][refused]
    assert drafted.taken == ()
    assert drafted.allowed().equal(before)


@tongues
@given(schema=SCHEMAS, random=RANDOMS, most=st.integers(0, 12))
@settings(max_examples=40, deadline=None)
def test_forced_tokens_spell_the_only_text_that_can_follow(
    tongue: Tongue, schema: dict[str, Any], random: Random, most: int
) -> None:
    constraint = wander(tongue, schema, random, most)
    forced = constraint.forced()
    remaining = b"".join(map(tongue.bytes, forced))
    for token in forced:
        for other in allowed(constraint):
            spelled = tongue.bytes(other)
            assert spelled.startswith(remaining) or remaining.startswith(spelled)
        constraint.take(token)
        remaining = remaining[len(tongue.bytes(token)) :]


@tongues
def test_refused_tokens_change_nothing(tongue: Tongue) -> None:
    constraint = after(tongue, CHECK_SCHEMA, '{"answer": "yes", "reason": "a c')
    before = constraint.allowed()
    for token in (*tongue.ends, 0, 2, tongue.width - 1, tongue.width, -1, *tongue.ids("\n")):
        with pytest.raises(ValueError, match=f"token {token} "):
            constraint.take(token)
    assert constraint.allowed().equal(before)
    assert tongue.text(constraint.taken) == '{"answer": "yes", "reason": "a c'


@tongues
def test_nothing_follows_an_end_token(tongue: Tongue) -> None:
    constraint = after(tongue, {"type": "integer"}, "12")
    assert constraint.valid
    assert not constraint.finished
    seven, end = tongue.ids("7")[0], tongue.ends[1]
    assert len(constraint.masks([seven, end, seven])) == 2
    constraint.take(end)
    assert constraint.finished
    assert allowed(constraint) == list(tongue.ends)
    assert len(constraint.masks([seven])) == 1
    assert (constraint.forced(), tongue.text(constraint.taken)) == ([], "12")
    with pytest.raises(ValueError, match="behind the end"):
        constraint.take(end)


@tongues
def test_control_tokens_and_padding_are_never_allowed(tongue: Tongue) -> None:
    mask = after(tongue, {"type": "string"}, '"').allowed()
    assert mask.shape == (tongue.width,)
    special = [tongue.tokenizer.convert_tokens_to_ids(token) for token in SPECIAL]
    assert not mask[special].any()
    assert not mask[len(tongue.tokenizer) :].any()
    assert mask[tongue.ids("dog")].all()


@tongues
def test_a_check_is_mostly_forced(tongue: Tongue) -> None:
    constraint = tongue.grammars.constraint(CHECK_SCHEMA)
    assert '{"answer": "'.startswith(tongue.text(constraint.forced()))
    answer = after(tongue, CHECK_SCHEMA, '{"answer": "n')
    for token in answer.forced():
        answer.take(token)
    assert '{"answer": "no", "reason": "'.startswith(text := tongue.text(answer.taken))
    assert len(text) > 20
    long = after(tongue, CHECK_SCHEMA, '{"answer": "no", "reason": "' + "x" * 160)
    assert tongue.text(long.forced()) == '"}'
    assert tongue.text(long.completed(300)).endswith('xx"}')


@tongues
def test_a_cut_answer_keeps_as_much_as_fits(tongue: Tongue) -> None:
    text = '{"answer": "no", "reason": "a big red car'
    constraint = after(tongue, CHECK_SCHEMA, text)
    count = len(constraint.taken)
    whole = constraint.completed(count + 2)
    assert tongue.text(whole) == text + '"}'
    for limit in range(constraint.least_tokens, len(whole)):
        answer = constraint.completed(limit)
        check(CHECK_SCHEMA, tongue.text(answer))
        assert limit - 2 <= len(answer) <= limit
        assert (text + '"}').startswith(tongue.text(answer)[:-2])
    with pytest.raises(OptionError, match=f"expected at least {constraint.least_tokens} for this schema"):
        constraint.completed(constraint.least_tokens - 1)


@tongues
def test_an_answer_is_not_cut_amid_a_character_or_an_escape(tongue: Tongue) -> None:
    schema = {"type": "string"}
    for text in ('"für 12 €', r'"so \"quoted\\', r'"C:\\', r'"bell \u0007 rings'):
        ids = tongue.ids(text)
        for kept in range(1, len(ids)):
            constraint = tongue.grammars.constraint(schema)
            for token in ids[:kept]:
                constraint.take(token)
            answer = tongue.text(constraint.completed(kept + 1))
            check(schema, answer)
            assert text.startswith(answer[:-1])


@tongues
@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 300},
        {"type": "string", "pattern": "^[a-z ]*ß$"},
        {"type": "array", "items": {"$ref": "#/$defs/car"}, "minItems": 30, "$defs": {
            "car": {"type": "object", "properties": {"count": {"type": "number"}, "name": {"type": "string"}},
                    "required": ["count", "name"]}}},
        {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["next"]},
    ],
    ids=["long", "beyond ASCII", "many", "recursive"],
)  # fmt: skip
def test_long_and_winding_schemas_end_too(tongue: Tongue, schema: dict[str, Any]) -> None:
    constraint = tongue.grammars.constraint(schema)
    check(schema, tongue.text(constraint.completed(constraint.least_tokens)))


def test_objects_have_the_properties_that_are_named() -> None:
    tongue = TONGUES["tiny"]
    named = {"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"]}
    assert after(tongue, named, '{"a": null').completed(99) == tongue.ids('{"a": null}')
    assert not after(tongue, named, '{"a": null').allowed()[tongue.ids(",")].any()
    both = {"allOf": [named, {"properties": {"b": {"type": "null"}}, "required": ["b"]}]}
    check(both, tongue.text(tongue.grammars.constraint(both).completed(99)))
    assert after(tongue, {**named, "additionalProperties": True}, '{"a": null').allowed()[tongue.ids(",")].all()


def test_numbers_stay_within_what_every_reader_takes() -> None:
    tongue = TONGUES["family"]
    for schema in ({"type": "integer"}, {"type": "number"}):
        constraint = after(tongue, schema, "999999999999999")
        assert not constraint.allowed()[tongue.ids("9")].any()
        assert not constraint.allowed()[tongue.ids("e")].any()


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("yes or no", "it is no object"),
        ({"answer": "yes"}, "it has none of "),
        ({"const": float("nan")}, "it is no JSON"),
        ({"const": {1, 2}}, "it is no JSON"),
        ({"type": "nonsense"}, "Invalid type: nonsense"),
        ({"type": "string", "pattern": "(?=a)b"}, "look-around"),
        ({"type": "string", "format": "colour"}, "Unknown format: colour"),
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"type": "array", "uniqueItems": True, "x-guidance": {"lenient": True}}, "uniqueItems"),
        ({"type": "integer", "not": {"const": 3}}, '"not"'),
        ({"type": "object", "additionalProperties": {"type": "null"}, "minProperties": 2}, "minProperties"),
        ({"enum": []}, "Unsatisfiable"),
        ({"type": "integer", "minimum": 5, "maximum": 1}, "Unsatisfiable"),
        ({"$ref": "https://example.org/schema"}, "not present"),
    ],
)
def test_what_cannot_be_promised_is_refused(schema: Any, reason: str) -> None:
    with pytest.raises(OptionError, match="a JSON schema that can be followed") as caught:
        TONGUES["tiny"].grammars.constraint(schema)
    assert reason in caught.value.expected
    assert "\n" not in str(caught.value)


def test_schemas_are_compiled_once_and_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    real: Callable[..., object] = module._Grammar

    def counted(schema: str, *facts: object) -> object:
        compiled.append(schema)
        return real(schema, *facts)

    monkeypatch.setattr(module, "_Grammar", counted)
    grammars = Grammars(TONGUES["family"].tokenizer, (1, 5, 13), 375)
    for _ in range(2):
        grammars.constraint({"const": 0}).take(TONGUES["family"].ids("0")[0])
    assert len(compiled) == 1
    for number in range(1, 40):
        grammars.constraint({"const": number})
    grammars.constraint({"const": 39})
    assert len(compiled) == 40
    grammars.constraint({"const": 0})
    assert len(compiled) == 41
