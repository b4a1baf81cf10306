"""``python -m streamer``, and the console script: Ctrl-C is quiet from the first import on."""

from __future__ import annotations


def main() -> None:
    try:
        from streamer.cli import main as run
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    run()


if __name__ == "__main__":
    main()
