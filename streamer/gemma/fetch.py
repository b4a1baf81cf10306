"""Where a checkpoint's files are: in the package, in a folder, or on the hub (fetched and kept in its cache)."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    IncompleteSnapshotError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from tqdm import tqdm

from streamer.errors import ModelError

Progress = Callable[[str, float | None], None]
"""Called with what is being done and, where known, the part of it that is done, in [0, 1]."""

TINY = "tiny"
"""The checkpoint that comes with the package."""

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_DESCRIPTION = ("*.json", "*.jinja", "*.model")
_WEIGHTS = ("*.safetensors",)


@dataclass(frozen=True, slots=True)
class Location:
    """A checkpoint that may not be here yet."""

    model: str
    """As the user named it."""
    folder: Path | None
    """None for one on the hub."""
    revision: str | None = None

    def description(self, progress: Progress) -> Path:
        """The folder with at least its configuration and tokenizer."""
        return self.folder or self._fetch(_DESCRIPTION, progress)

    def complete(self, progress: Progress) -> Path:
        """The folder with its weights too."""
        return self.folder or self._fetch((*_DESCRIPTION, *_WEIGHTS), progress)

    def _fetch(self, patterns: tuple[str, ...], progress: Progress) -> Path:
        """Raises `ModelError` for what the hub cannot give."""
        model, bar = self.model, _bar_for(progress, f"downloading {self.model}")
        try:
            folder = snapshot_download(model, revision=self.revision, allow_patterns=list(patterns), tqdm_class=bar)
        except GatedRepoError as error:
            remedy = f"accept its licence on https://huggingface.co/{model}, then run: hf auth login"
            raise ModelError(model, "its owner asks for consent before the download", remedy) from error
        except RepositoryNotFoundError as error:
            remedy = "check the name, or run: hf auth login, if it is private"
            raise ModelError(model, "the hub knows no such model", remedy) from error
        except RevisionNotFoundError as error:
            raise ModelError(model, f"it has no revision {self.revision!r}") from error
        except (LocalEntryNotFoundError, OfflineModeIsEnabled, IncompleteSnapshotError) as error:
            remedy = "connect once, name a local folder, or use the model that needs no download: tiny"
            raise ModelError(model, "the hub cannot be reached, and it is not on this machine", remedy) from error
        except (HfHubHTTPError, OSError) as error:
            first_line = str(error).strip().partition("\n")[0]
            raise ModelError(
                model, f"the download failed: {first_line}", "try again: it goes on where it was"
            ) from error
        return Path(folder)


def locate(model: str, revision: str | None = None) -> Location:
    """Tells by its name where ``model`` is: ``tiny``, a folder, or a hub id ``owner/name``.

    Touches no network. Raises `ModelError` for a name that is none of these.
    """
    if model == TINY:
        folder = Path(__file__).parent / TINY
        if not (folder / "config.json").is_file():
            raise ModelError(model, "this installation came without it", "reinstall streamer from its wheel")
        return Location(model, folder)
    folder = Path(model).expanduser()
    if folder.is_dir():
        return Location(model, folder)
    if _HUB_ID.fullmatch(model) and not model.startswith("."):
        return Location(model, None, revision)
    raise ModelError(model, "there is no such folder", "name a folder, a hub id such as google/gemma-4-E2B-it, or tiny")


def read_json(model: str, folder: Path, name: str, *, required: bool = True) -> Mapping[str, Any]:
    """The object in ``folder/name``; empty where it may be missing. Raises `ModelError`."""
    path = folder / name
    if not path.is_file():
        if required:
            raise ModelError(
                model, f"{name} is missing in {folder}", "is it a complete checkpoint in the hub's layout?"
            )
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(model, f"{name} is damaged: {error}", "fetch the file again") from error
    if not isinstance(content, dict):
        raise ModelError(model, f"{name} is damaged: no object in it", "fetch the file again")
    return content


def _bar_for(progress: Progress, sentence: str) -> type[tqdm[Any]]:
    """A progress bar for the hub's client that draws nothing and calls ``progress`` instead."""

    class Bar(tqdm):  # type: ignore[misc]
        monitor_interval = 0

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.update(file=io.StringIO(), disable=False)
            kwargs.pop("name", None)
            super().__init__(*args, **kwargs)

        def display(self, *args: Any, **kwargs: Any) -> bool:
            if self.unit == "B" and self.total:
                progress(sentence, min(1.0, self.n / self.total))
            return True

    return Bar
