"""JSON, XML and YAML as files: whatever a label or a name may contain, the file stays readable."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from streamer.outputs.atomic import replacing

FORBIDDEN = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold in any spelling."""


def json_bytes(values: Any, indent: int | None = None) -> bytes:
    """UTF-8; halves of surrogate pairs, which names of files may contain, are escaped."""
    return json.dumps(values, ensure_ascii=False, indent=indent).encode(errors="backslashreplace")


def write_json(path: Path, values: Any) -> None:
    """Raises `OutputError` where the file cannot be written."""
    with replacing(path) as temporary:
        temporary.write_bytes(json_bytes(values, indent=1) + b"\n")


def xml_text(value: object) -> str:
    """``value`` with ``\\n`` for every end of line, which readers make of it anyway, and ``\\ufffd`` for what XML
    forbids."""
    return FORBIDDEN.sub("\ufffd", str(value).replace("\r\n", "\n").replace("\r", "\n"))


def child(parent: ElementTree.Element, tag: str, text: object = "", /, **attributes: object) -> ElementTree.Element:
    """A new last element of ``parent``."""
    element = ElementTree.SubElement(parent, tag, {name: xml_text(value) for name, value in attributes.items()})
    element.text = xml_text(text) or None
    return element


def xml_bytes(root: ElementTree.Element) -> bytes:
    """UTF-8, indented."""
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + _indented(root)


def write_xml(path: Path, root: ElementTree.Element, *, declared: bool = True) -> None:
    """``declared``: with a first line that says so. Raises `OutputError` where the file cannot be written."""
    with replacing(path) as temporary:
        temporary.write_bytes(xml_bytes(root) if declared else _indented(root))


def _indented(root: ElementTree.Element) -> bytes:
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode").encode() + b"\n"


def yaml_string(text: str) -> str:
    """``text`` as a double-quoted YAML scalar in one line."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in quoted)
