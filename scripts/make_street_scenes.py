"""Draw a synthetic street-scene data set in the Cityscapes layout.

python scripts/make_street_scenes.py --out data/streets --train 48 --val 12 --size 256x128 --seed 0
python scripts/make_street_scenes.py --out data/few --classes road sidewalk vegetation car pole "traffic sign"
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.street_scenes import CLASS_NAMES, write_street_scenes
from shared.errors import UserError


def _size(text: str) -> tuple[int, int]:
    """``WxH`` to (height, width)."""
    match = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT; write for example 256x128")
    return int(match[2]), int(match[1])


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        description="Draw a synthetic street-scene data set in the Cityscapes layout: 19 classes, 255 without class."
    )
    made.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to; made if missing")
    made.add_argument("--train", type=int, default=48, metavar="N", help="images to train on (default 48)")
    made.add_argument("--val", type=int, default=12, metavar="N", help="images to validate on (default 12)")
    made.add_argument(
        "--size", type=_size, default=(128, 256), metavar="WxH", help="64x32 to 2048x1024 (default 256x128)"
    )
    made.add_argument("--seed", type=int, default=0, help="same seed and size, same bytes (default 0)")
    made.add_argument(
        "--classes",
        nargs="+",
        metavar="NAME",
        help="draw nothing but these classes; road, building and sky are always drawn (default all): "
        + ", ".join(CLASS_NAMES),
    )
    made.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default 1)")
    made.add_argument(
        "--force", action="store_true", help="write into a folder with other content; files of the same name are lost"
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    args = parser().parse_args(argv)
    start = last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= 5.0 and done < total:
            last = now
            print(f"{done}/{total} images", flush=True)

    try:
        write_street_scenes(
            args.out,
            args.train,
            args.val,
            args.size,
            args.seed,
            workers=args.workers,
            force=args.force,
            report=report,
            classes=args.classes,
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    height, width = args.size
    seconds = time.monotonic() - start
    print(f"{args.train} train + {args.val} val images of {width}x{height} in {args.out} ({seconds:.1f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
