"""The C library's memory, for jobs that run for weeks: what is free goes back to the system.

glibc gives threads arenas of their own, eight times as many as there are cores, and each keeps what it once needed.
Many cameras, viewers and decoders that come and go made a live job of 110 MiB grow to 410 MiB in a quarter of an hour,
with nothing in use that had not been before. Elsewhere (musl, macOS, Windows) nothing is done.
"""

from __future__ import annotations

import ctypes
import gc
import sys

_M_ARENA_MAX = -8
ARENAS = 2


def _libc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") and hasattr(libc, "mallopt") else None


def use_few_arenas() -> bool:
    """At most two from now on, in the whole process; to be called before there are many threads. Whether it worked."""
    libc = _libc()
    return libc is not None and bool(libc.mallopt(_M_ARENA_MAX, ARENAS))


def keep_what_is_loaded() -> None:
    """To be called once a model is loaded. Python looks for cycles among all objects only when there are a quarter
    more of them than the last time, which with a model's hundreds of thousands is hardly ever: pictures in cycles pile
    up."""
    gc.collect()
    gc.freeze()


def give_back() -> bool:
    """Takes milliseconds, once `keep_what_is_loaded` was called. Whether there was anything to give back."""
    gc.collect()
    libc = _libc()
    return libc is not None and bool(libc.malloc_trim(0))
