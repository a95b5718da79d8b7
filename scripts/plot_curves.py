"""Draw the loss, learning rate and mIoU of one or more training runs over one another.

python scripts/plot_curves.py output/eager output/static --out curves.png
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from shared.errors import ConfigError, UserError
from shared.visualize.curves import draw_curves, loss_difference, read_curves


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Draw the curves of training runs over one another.")
    parser.add_argument("runs", nargs="+", metavar="RUN_DIR", help="folder of a run (holds metrics.jsonl)")
    parser.add_argument(
        "--out", default="curves.png", help="picture to write: .png, .pdf or .svg (default: %(default)s)"
    )
    parser.add_argument("--names", nargs="+", metavar="NAME", help="legend entries, one per run (default: its folder)")
    parser.add_argument("--title", default="", help="heading of the picture")
    args = parser.parse_args(argv)
    if args.names and len(args.names) != len(args.runs):
        parser.error(f"got {len(args.names)} names for {len(args.runs)} runs; give one for each, in their order")
    if args.names and len(set(args.names)) < len(args.names):
        parser.error(f"got the names {', '.join(args.names)}; expected different ones")
    if Path(args.out).suffix.lower() not in (".png", ".pdf", ".svg"):
        parser.error(f"--out is {args.out!r}; its name must end in .png, .pdf or .svg")
    return args


def legend_names(runs: Sequence[str]) -> list[str]:
    """The last folder of each path, with as many parents as it takes to tell them apart."""
    parts = [Path(run).resolve().parts for run in runs]
    depth = 1
    while depth < max(map(len, parts)) and len({p[-depth:] for p in parts}) < len(parts):
        depth += 1
    names = ["/".join(p[-depth:]) for p in parts]
    if len(set(names)) < len(names):
        raise ConfigError(
            f"RUN_DIR: got one run twice ({', '.join(runs)}); give each once, or tell them apart by --names"
        )
    return names


def main(argv: Sequence[str] | None = None) -> int:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    args = parse_args(argv)
    try:
        names = args.names or legend_names(args.runs)
        curves = [read_curves(run) for run in args.runs]
        draw_curves(dict(zip(names, curves)), args.out, args.title)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    difference = loss_difference(*curves) if len(curves) == 2 else None
    if difference is not None:
        print(f"largest difference of the losses: {difference:.6g}")
    print(f"wrote {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
