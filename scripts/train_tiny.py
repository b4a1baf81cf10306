"""Train `tiny`, the embedded checkpoint, on drawn street scenes.

    python scripts/train_tiny.py tower    --minutes 50   # the vision tower, by what its soft tokens must tell
    python scripts/train_tiny.py language --minutes 40   # the text model, on a tower that stands still
    python scripts/train_tiny.py joint    --minutes 60   # both together
    python scripts/train_tiny.py export                  # bf16 weights to streamer/gemma/tiny

    python scripts/train_tiny.py joint --start streamer/gemma/tiny   # more of the same, from what is shipped

Each stage writes a checkpoint every few minutes and goes on from it when started again; minutes are wall-clock
minutes on two cores. Pictures are drawn anew for each step from a seed, so hardly any picture is seen twice.
Needs the fonts Noto Color Emoji and DejaVu Sans (Debian: fonts-noto-color-emoji fonts-dejavu-core).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tiny_training import TinyTrainer, export, train_language, train_tower

PACKAGE_FOLDER = Path(__file__).resolve().parent.parent / "streamer" / "gemma" / "tiny"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=("tower", "language", "joint", "export"))
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=1.5e-3, help="peak learning rate")
    parser.add_argument("--work", type=Path, default=Path("out/tiny"), help="folder for checkpoints")
    parser.add_argument("--start", type=Path, help="folder with an exported checkpoint to go on from")
    parser.add_argument("--to", type=Path, default=PACKAGE_FOLDER, help="where export writes")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    trainer = TinyTrainer(arguments.work)
    if arguments.start is not None:
        trainer.adopt(arguments.start)
        trainer.store({"language": "tower", "joint": "language"}.get(arguments.stage, "start"))
    match arguments.stage:
        case "tower":
            train_tower(trainer, arguments.minutes, arguments.rate)
        case "export":
            export(trainer, arguments.to)
        case stage:
            train_language(trainer, arguments.minutes, arguments.rate, joint=stage == "joint")


if __name__ == "__main__":
    main()
