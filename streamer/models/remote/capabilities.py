"""What a server can do, as values and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one server can do."""

    kind: str = ""
    """``vLLM``, ``SGLang``, ``llama.cpp``, ``Ollama``; else what its list of models says, or nothing."""
    extras: bool = True
    """It takes, or passes over, fields that OpenAI does not know."""
    budget: bool = False
    """A request's image budget counts."""
    fixed_budget: int | None = None
    """The one of `BUDGETS` that counts whatever is asked; None where none fits."""
    picture_tokens: int | None = None
    """What a small square picture costs without a budget; None where the server does not count."""
    schema: bool = False
    """Answers are held to a JSON schema whose root is an object."""
    lists: bool = False
    """... and to one whose root is a list."""
    several: bool = True
    """A request may have several pictures."""
    thinks: bool = False
    """It thinks although it is told not to."""
    counts: bool = True
    """It says how many tokens a request had."""
    refusals: Mapping[str, str] = field(default_factory=dict)
    """In the server's own words why ``budget``, ``schema`` or ``several`` is refused, where it said so."""

    def lines(self) -> list[str]:
        """For people, a sentence a line."""
        said = [self._budget_line(), self._schema_line()]
        if not self.several:
            said.append("takes one picture a request, so that pictures cannot be compared" + self._because("several"))
        if self.thinks:
            said.append("thinks before it answers although it is told not to: answers take longer")
        if not self.counts:
            said.append("does not say how many tokens a request had: they are shown as 0")
        return said

    def _budget_line(self) -> str:
        if self.budget:
            return "takes an image budget for each request"
        cost = f"; a picture costs what the budget {self.fixed_budget} allows" if self.fixed_budget else ""
        if not cost and self.picture_tokens:
            cost = f"; a small picture costs {self.picture_tokens} tokens"
        return f"takes no image budget for a request{self._because('budget')}: only the picture's size follows it{cost}"

    def _schema_line(self) -> str:
        if not self.schema:
            return f"does not hold answers to a JSON schema{self._because('schema')}: they are read as free text"
        return "holds answers to JSON schemas" + ("" if self.lists else ", but not lists: boxes are read as free text")

    def _because(self, what: str) -> str:
        said = self.refusals.get(what)
        return f" ({said})" if said else ""
