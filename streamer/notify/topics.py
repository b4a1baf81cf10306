"""The names of MQTT topics. Values in, values out.

::

    <prefix>/available                          online | offline, retained; the last will says offline
    <prefix>/<stream>/alerts                    each message, not retained
    <prefix>/<stream>/<rule>/state              ON | OFF, retained
    <prefix>/<stream>/<rule>/attributes         JSON about the newest alert, retained
    <prefix>/<stream>/analysis/set              ON | OFF, asked by others
    <prefix>/<stream>/analysis/state            ON | OFF, retained

Streams and rules stand there as slugs, of which no two names share one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass

from streamer.errors import OptionError

_PLAIN = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_LONGEST = 40
_TAKEN_RULES = frozenset({"analysis"})
"""What stands where a rule's slug stands, and is none."""


def slug(name: str, taken: Collection[str] = ()) -> str:
    """A topic's level, or a part of an id, for ``name``: of ``a-z 0-9 - _`` only, at most 53 letters.

    A name of small letters, digits and single hyphens is its own slug. Any other gets a part of its SHA-256 behind an
    underscore, which no plain name has, so that two names never share a slug.

    >>> slug("gate"), slug("Front door")
    ('gate', 'front-door_91b2dbada3ab')
    """
    if len(name) <= _LONGEST and _PLAIN.fullmatch(name) and name not in taken:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    readable = re.sub("[^a-z0-9]+", "-", name.lower())[:_LONGEST].strip("-")
    return f"{readable}_{digest}"


def checked_prefix(option: str, prefix: str) -> str:
    """Raises `OptionError` where topics cannot begin so."""
    levels = prefix.split("/")
    if (
        prefix.startswith("$")
        or len(prefix) > 100
        or not all(re.fullmatch(r"[^\s+#\x00-\x1f\x7f]+", x) for x in levels)
    ):
        raise OptionError(option, prefix, "words with / between them, without spaces, + and #")
    return prefix


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics below ``prefix``, given by the names of streams and rules."""

    prefix: str

    @property
    def available(self) -> str:
        return f"{self.prefix}/available"

    @property
    def analysis_sets(self) -> str:
        """The pattern of `analysis_set` for all streams."""
        return f"{self.prefix}/+/analysis/set"

    def alerts(self, stream: str) -> str:
        return f"{self.prefix}/{slug(stream)}/alerts"

    def state(self, stream: str, rule: str) -> str:
        return f"{self.prefix}/{slug(stream)}/{slug(rule, _TAKEN_RULES)}/state"

    def attributes(self, stream: str, rule: str) -> str:
        return f"{self.prefix}/{slug(stream)}/{slug(rule, _TAKEN_RULES)}/attributes"

    def analysis_set(self, stream: str) -> str:
        return f"{self.prefix}/{slug(stream)}/analysis/set"

    def analysis_state(self, stream: str) -> str:
        return f"{self.prefix}/{slug(stream)}/analysis/state"

    @property
    def node(self) -> str:
        """What Home Assistant's topics and ids call this installation."""
        return slug(self.prefix)

    def entity(self, stream: str, rule: str) -> str:
        """What they call the pair: the first two underscores in a row part it, since no stream's slug has them."""
        return f"{slug(stream)}__{slug(rule, _TAKEN_RULES)}"
