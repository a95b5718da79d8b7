"""Make the labels of ``type: CocoStuff`` from the pixel maps that COCO-Stuff publishes.

These are http://calvin.inf.ed.ac.uk/wp-content/uploads/data/cocostuffdataset/stuffthingmaps_trainval2017.zip:

unzip stuffthingmaps_trainval2017.zip -d maps
python scripts/data/coco_stuff.py --maps maps --out data/cocostuff/annotations

The maps hold COCO's ids less one, 0 to 181 with gaps; the labels hold 0 to 170. 255 stays. Run again, it goes on where
it stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts.data.converting import add_workers, convert_all, errors_told
from shared.datasets.coco_stuff import UNUSED_VALUES
from shared.datasets.files import what_is_in
from shared.datasets.reading import read_label
from shared.errors import DataError

_HIGHEST = 181
_NO_CLASS = 254
_SPLITS = ("train2017", "val2017")


def _class_ids() -> np.ndarray:
    """``[256]`` uint8: the class id of each value of a map."""
    table = np.full(256, _NO_CLASS, np.uint8)
    used = [value for value in range(_HIGHEST + 1) if value not in UNUSED_VALUES]
    table[used] = np.arange(len(used))
    table[255] = 255
    return table


def read_map(path: Path) -> np.ndarray:
    """The class ids ``[H, W]`` uint8 of one published pixel map; DataError where it has another value."""
    values = read_label(str(path))
    label = _class_ids()[values]
    wrong = np.unique(values[label == _NO_CLASS])
    if wrong.size:
        raise DataError(
            f"{path}: value{'s' * (wrong.size > 1)} {', '.join(map(str, wrong[:5]))}, which COCO-Stuff's pixel maps "
            "never have: is this one converted already?"
        )
    return label


def convert(maps: Path, out: Path, workers: int) -> tuple[int, int]:
    """Convert the splits that are in ``maps``; returns the number of maps, and how many labels were written."""
    if maps.resolve() == out.resolve():
        raise DataError(
            f"--maps and --out are both {maps}; give a new folder to --out, e.g. data/cocostuff/annotations"
        )
    sources = [path for split in _SPLITS for path in sorted((maps / split).glob("*.png"))]
    if not sources:
        raise DataError(
            f"--maps {maps} holds no {_SPLITS[0]}/*.png or {_SPLITS[1]}/*.png: {what_is_in(str(maps.resolve()))}; give "
            "the folder that stuffthingmaps_trainval2017.zip unpacks to"
        )
    return len(sources), convert_all([(path, out / path.relative_to(maps)) for path in sources], read_map, workers)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description="Make the labels of CocoStuff from the published pixel maps.")
    parser.add_argument("--maps", type=Path, required=True, metavar="DIR", help="holds train2017 and val2017")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the data set's folder annotations")
    add_workers(parser)
    args = parser.parse_args(argv)
    with errors_told():
        found, written = convert(args.maps, args.out, args.workers)
        print(f"{found} pixel maps, {written} labels written, {found - written} were there already")
    return 0


if __name__ == "__main__":
    sys.exit(main())
