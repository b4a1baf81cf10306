"""Every error that streamer raises on purpose.

::

    StreamerError
    ├── OptionError          a value given by the user cannot be used
    ├── SourceError          a file, stream, camera or picture cannot be read
    ├── ModelError           a model cannot be loaded or does not answer
    │   ├── ModelMemoryError   ... because memory does not suffice
    │   └── ModelInterrupted   ... because somebody called it off
    ├── OutputError          a result cannot be written
    ├── HistoryError         the history cannot be read or written
    ├── NotifyError          a channel did not take an alert
    ├── ClusterError         the machines of a Ray cluster cannot be used
    └── MissingExtraError    an optional package is not installed

Each takes facts and makes the sentence itself: what happened, to what, and what to do about it.
"""

from __future__ import annotations

from streamer.addresses import redact


class StreamerError(Exception):
    """Base of all errors here; ``remedy`` says what the user can do (may be empty)."""

    remedy: str = ""


class OptionError(StreamerError, ValueError):
    """``value`` cannot be used for ``option``; ``expected`` says what can."""

    def __init__(self, option: str, value: object, expected: str) -> None:
        super().__init__(option, value, expected)
        self.option, self.value, self.expected = option, value, expected

    def __str__(self) -> str:
        return f"{self.option}: {self.value!r} cannot be used; expected {self.expected}"


class SourceError(StreamerError):
    """The source at ``address`` cannot be read (any further): ``reason``, and what to do: ``remedy``.

    ``address`` is kept without passwords. ``frames_read`` counts the frames delivered before the fault.
    """

    def __init__(self, address: str, reason: str, remedy: str = "", *, frames_read: int = 0) -> None:
        super().__init__(address, reason, remedy)
        self.address, self.reason, self.remedy = redact(address), reason, remedy
        self.frames_read = frames_read

    def __str__(self) -> str:
        after = f" after {self.frames_read} frames" if self.frames_read else ""
        advice = f" ({self.remedy})" if self.remedy else ""
        return f"{self.address}: {self.reason}{after}{advice}"


class ModelError(StreamerError):
    """The model ``model`` cannot be loaded or cannot answer: ``reason``, and what to do: ``remedy``."""

    def __init__(self, model: str, reason: str, remedy: str = "") -> None:
        super().__init__(model, reason, remedy)
        self.model, self.reason, self.remedy = model, reason, remedy

    def __str__(self) -> str:
        advice = f" ({self.remedy})" if self.remedy else ""
        return f"model {self.model}: {self.reason}{advice}"


class ModelMemoryError(ModelError):
    """The model does not fit; the reason says how much is needed and how much there is."""


class ModelInterrupted(ModelError):
    """The answers were called off by `VisionModel.interrupt`."""

    def __init__(self, model: str) -> None:
        super().__init__(model, "it was interrupted")


class OutputError(StreamerError):
    """The output at ``path`` cannot be written: ``reason``, and what to do: ``remedy``."""

    def __init__(self, path: object, reason: str, remedy: str = "") -> None:
        super().__init__(path, reason, remedy)
        self.path, self.reason, self.remedy = str(path), reason, remedy

    def __str__(self) -> str:
        advice = f" ({self.remedy})" if self.remedy else ""
        return f"{self.path}: {self.reason}{advice}"


class HistoryError(StreamerError):
    """The history at ``url`` (kept without its password) cannot be read or written: ``reason``, ``remedy``."""

    def __init__(self, url: object, reason: str, remedy: str = "") -> None:
        super().__init__(url, reason, remedy)
        self.url, self.reason, self.remedy = redact(str(url)), reason, remedy

    def __str__(self) -> str:
        advice = f" ({self.remedy})" if self.remedy else ""
        return f"history {self.url}: {self.reason}{advice}"


class NotifyError(StreamerError):
    """``channel`` did not take an alert: ``reason``, without secrets. ``lasting``: trying again cannot help."""

    def __init__(self, channel: str, reason: str, *, lasting: bool = False) -> None:
        super().__init__(channel, reason)
        self.channel, self.reason, self.lasting = channel, reason, lasting

    def __str__(self) -> str:
        return f"channel {self.channel}: {self.reason}"


class ClusterError(StreamerError):
    """The Ray cluster at ``address`` cannot be used (any further): ``reason``, and what to do: ``remedy``."""

    def __init__(self, address: str, reason: str, remedy: str = "") -> None:
        super().__init__(address, reason, remedy)
        self.address, self.reason, self.remedy = redact(address), reason, remedy

    def __str__(self) -> str:
        advice = f" ({self.remedy})" if self.remedy else ""
        return f"cluster {self.address}: {self.reason}{advice}"


class MissingExtraError(StreamerError, ImportError):
    """``feature`` needs the package ``package``, which the extra ``extra`` installs."""

    def __init__(self, feature: str, package: str, extra: str) -> None:
        super().__init__(feature, package, extra)
        self.feature, self.package, self.extra = feature, package, extra
        self.remedy = f"pip install 'streamer[{extra}]'"

    def __str__(self) -> str:
        return f"{self.feature} needs the package {self.package}: {self.remedy}"
