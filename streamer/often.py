"""How often pictures are looked at, in the words that people write."""

from __future__ import annotations


def sampling_words(text: str) -> str:
    """``2s`` and ``0.5`` read as ``every 2 s`` and ``every 0.5 s``; all else as it is."""
    number = text.strip().lower().removesuffix("s").strip()
    try:
        float(number)
    except ValueError:
        return text
    return f"every {number} s"
