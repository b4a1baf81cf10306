"""What is wrong with a part of a message or request, in words for whoever sent it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_KINDS = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "finite_number": "a number",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "dict": "an object",
    "model": "an object",
    "model_attributes": "an object",
    "dataclass": "an object",
    "uuid": "a UUID",
    "bytes": "bytes",
}
_LIMITS = {
    "greater_than": ("a number above {gt}", "gt"),
    "greater_than_equal": ("a number from {ge} on", "ge"),
    "less_than": ("a number below {lt}", "lt"),
    "less_than_equal": ("a number up to {le}", "le"),
    "multiple_of": ("a multiple of {multiple_of}", "multiple_of"),
    "string_too_long": ("text of at most {max_length} characters", "max_length"),
    "string_too_short": ("text of at least {min_length} characters", "min_length"),
    "bytes_too_long": ("at most {max_length} bytes", "max_length"),
    "too_long": ("at most {max_length} of them", "max_length"),
    "too_short": ("at least {min_length} of them", "min_length"),
    "string_pattern_mismatch": ("text of the form {pattern}", "pattern"),
    "literal_error": ("one of {expected}", "expected"),
    "enum": ("one of {expected}", "expected"),
    "union_tag_invalid": ("one of {expected_tags} as its type", "expected_tags"),
}


def words_for(fault: Mapping[str, Any]) -> str:
    """One of pydantic's ``errors()``, without the value: that may be a secret.

    >>> words_for({"type": "less_than_equal", "ctx": {"le": 60}, "msg": ""})
    'expected a number up to 60'
    """
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "missing":
        return "it is missing"
    if kind == "extra_forbidden":
        return "there is no such field"
    if kind == "json_invalid":
        return "it is not JSON"
    if kind == "union_tag_not_found":
        return "its type is missing"
    template, needed = _LIMITS.get(kind, ("", ""))
    if needed in context:
        return "expected " + template.format_map(context)
    name = kind.removesuffix("_type").removesuffix("_parsing").removesuffix("_from_float").removesuffix("_parsing_size")
    if name in _KINDS:
        return f"expected {_KINDS[name]}"
    return str(fault["msg"]).removeprefix("Value error, ")
