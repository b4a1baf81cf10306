"""How much of the past a live job keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from streamer.errors import OptionError


@dataclass(frozen=True, slots=True)
class Keep:
    """Three limits, each of which holds by itself. Raises `OptionError`."""

    keep_days: float = 30.0
    """Of results and their pictures."""
    keep_gib: float = 10.0
    """Of pictures, clips and database together."""
    keep_alert_days: float = 365.0
    """Of alerts with snapshot and clip."""
    name: ClassVar[str] = "history"
    """Under which a change of it is kept."""

    def __post_init__(self) -> None:
        for name, low, high in (("keep_days", 0.01, 1e5), ("keep_gib", 0.001, 1e6), ("keep_alert_days", 0.01, 1e5)):
            if not low <= getattr(self, name) <= high:
                raise OptionError(name, getattr(self, name), f"a number from {low:g} to {high:g}")

    def limits(self) -> dict[str, Any]:
        """As `History.limit` and `HistoryOptions` take them."""
        return {
            "keep_days": self.keep_days,
            "keep_alert_days": self.keep_alert_days,
            "keep_bytes": round(self.keep_gib * 2**30),
        }

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON values, which `from_mapping` takes back."""
        return {name: float(value) for name, value in asdict(self).items()}

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Keep:
        """Raises `OptionError` for what are no limits."""
        try:
            return cls(**mapping)
        except TypeError as error:
            raise OptionError("limits", dict(mapping), f"the limits of a history ({error})") from error
