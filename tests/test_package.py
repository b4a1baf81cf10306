"""The package as a whole: light to import, complete, and documented."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import streamer

MODULES = ["streamer", *(module.name for module in pkgutil.walk_packages(streamer.__path__, "streamer."))]


def test_importing_it_is_light() -> None:
    heavy = ("torch", "transformers", "cv2", "av", "numpy", "fastapi", "PIL")
    code = f"import sys, streamer; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_the_command_line_starts_without_torch() -> None:
    code = "import sys, streamer.cli; print([n for n in ('torch', 'transformers', 'cv2', 'av') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", [name for name in streamer.__all__ if name != "BUDGETS"])
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(streamer, name)
    assert name in dir(streamer)
    assert inspect.isclass(value) or inspect.isfunction(value)
    assert inspect.getdoc(value)


def test_no_module_takes_the_place_of_a_public_name() -> None:
    """Importing a submodule binds its name in the package."""
    assert {name.removeprefix("streamer.") for name in MODULES} & set(streamer.__all__) == set()


def test_all_is_what_can_be_had() -> None:
    assert sorted(streamer._HOME_OF) == sorted(streamer.__all__)


def test_an_unknown_name_is_said() -> None:
    with pytest.raises(AttributeError, match="module 'streamer' has no attribute 'watchh'"):
        _ = streamer.watchh


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_every_module_says_what_it_is(name: str) -> None:
    module = importlib.import_module(name)
    is_empty_package = hasattr(module, "__path__") and not Path(str(module.__file__)).read_text().strip()
    assert module.__doc__ or is_empty_package
