"""JSON schemas as people write them: whether they are any, and what may be left out of them unnoticed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from streamer.errors import OptionError

_EXPECTED = "a JSON schema that can be followed"
_WORDS = frozenset(("type", "enum", "const", "properties", "items", "prefixItems", "anyOf", "oneOf", "allOf", "$ref"))
"""Keywords of which a schema has one at least, unless it is empty."""
_COMBINING = frozenset(("allOf", "oneOf", "not", "if", "dependentSchemas", "unevaluatedProperties", "$dynamicRef"))
"""Where one of these occurs, closing an object could change what another part of the schema means."""
_BOUNDS = frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"))
_LARGEST = 10**15
"""Numbers without bounds stay within: exact for every reader of JSON, and never so long that Python refuses them.

Only the numbers of a value that may be anything, and of schemas that combine others, are as long as the model likes."""
_DEEPEST = 100
"""Of parts in parts."""


def checked_schema(schema: object) -> dict[str, Any]:
    """A copy in plain JSON values. Raises `OptionError` for what is no schema."""
    if not isinstance(schema, Mapping):
        raise refused(schema, "it is no object")
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(schema), allow_nan=False))
        json.dumps(plain, ensure_ascii=False).encode()  # halves of characters are no text
    except (TypeError, ValueError, RecursionError) as error:
        raise refused(schema, f"it is no JSON: {error}") from error
    if plain and not plain.keys() & _WORDS:
        raise refused(schema, "it has none of " + ", ".join(sorted(_WORDS)))
    if _depth(plain) > _DEEPEST:
        raise refused(schema, f"parts lie in parts more than {_DEEPEST} times")
    return plain


def as_text(schema: object) -> str:
    """``schema`` as JSON, narrowed where that is safe. Raises `OptionError` for what cannot be followed."""
    plain = checked_schema(schema)
    if _counts_unnamed(plain):
        raise refused(schema, "minProperties above what is required: a name could come twice")
    plain.pop("x-guidance", None)
    return json.dumps(plain if _combines(plain) else _narrowed(plain))


def _combines(part: Any) -> bool:
    """Whether several schemas may describe one value together: narrowing one could contradict another."""
    if isinstance(part, list):
        return any(map(_combines, part))
    if not isinstance(part, dict):
        return False
    together = part.keys() & {"$ref", "anyOf"} and part.keys() & {"properties", "required", "minimum", "maximum"}
    return bool(part.keys() & _COMBINING or together) or any(map(_combines, part.values()))


def _counts_unnamed(part: Any) -> bool:
    """Whether some object needs more properties than it names: llguidance lets a model repeat the others' names."""
    if isinstance(part, list):
        return any(map(_counts_unnamed, part))
    if not isinstance(part, dict):
        return False
    least, required = part.get("minProperties"), part.get("required")
    named = len(required) if isinstance(required, list) else 0
    return (isinstance(least, int) and least > max(1, named)) or any(map(_counts_unnamed, part.values()))


def _narrowed(schema: Any) -> Any:
    """``schema`` without properties that it does not name and numbers beyond `_LARGEST`, unless it speaks of them."""
    if not isinstance(schema, dict):
        return schema
    narrowed = dict(schema)
    for word in ("properties", "$defs", "definitions"):
        if isinstance(schema.get(word), dict):
            narrowed[word] = {name: _narrowed(part) for name, part in schema[word].items()}
    for word in ("prefixItems", "anyOf"):
        if isinstance(schema.get(word), list):
            narrowed[word] = [_narrowed(part) for part in schema[word]]
    for word in ("items", "additionalProperties"):
        if word in schema:
            narrowed[word] = _narrowed(schema[word])
    named, required = schema.get("properties"), schema.get("required", [])
    complete = isinstance(named, dict) and isinstance(required, list) and named.keys() >= set(map(str, required))
    if complete and "patternProperties" not in schema:
        narrowed.setdefault("additionalProperties", False)
    kinds = schema.get("type")
    if not schema.keys() & _BOUNDS and {"number", "integer"} & set(kinds if isinstance(kinds, list) else [str(kinds)]):
        narrowed |= {"minimum": -_LARGEST, "maximum": _LARGEST}
    return narrowed


def _depth(part: Any) -> int:
    deepest, waiting = 0, [(part, 1)]
    while waiting:
        part, depth = waiting.pop()
        deepest = max(deepest, depth)
        inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        waiting += [(one, depth + 1) for one in inner]
    return deepest


def refused(schema: object, reason: str) -> OptionError:
    return OptionError("schema", schema, f"{_EXPECTED}: {one_line(reason)}")


def one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 300 else line[:299] + "…"
