"""Make the lists and labels of ``type: PascalContext`` from the annotations that PASCAL Context publishes.

https://cs.stanford.edu/~roozbeh/pascal-context/ has them: ``trainval.tar.gz``, one .mat file an image with ids of all
459 classes, and ``labels.txt``, the names of these ids. The images are those of VOC 2010 (VOCtrainval_03-May-2010.tar):

tar xzf trainval.tar.gz
python scripts/data/pascal_context.py --maps trainval --labels labels.txt --voc data/VOCdevkit/VOC2010

writes Context/*.png and then ImageSets/Segmentation/{train,val,trainval}_context.txt, split as VOC's ImageSets/Main
is. Run again, it goes on where it stopped. Needs SciPy. ``trainval_merged.json`` of PASCAL in Detail is not read.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts.data.converting import (
    add_workers,
    check_there,
    convert_all,
    errors_told,
    read_mat,
    read_names,
    require_scipy,
    write_list,
)
from shared.datasets.list_file import read_lines
from shared.datasets.pascal_context import PascalContext
from shared.errors import DataError


def read_published_ids(path: Path) -> dict[int, int]:
    """Published id -> class id of the 59 classes, from ``labels.txt`` with its lines of ``284: person``."""
    lines = [re.fullmatch(r"(\d+)\s*:\s*(.+)", text) for _, text in read_lines(str(path))]
    published = {match[2].replace(" ", ""): int(match[1]) for match in lines if match}
    missing = [name for name in PascalContext.class_names[1:] if name not in published]
    if missing:
        raise DataError(
            f"{path} names {len(published)} classes in lines of 'number: name', but not {', '.join(missing[:10])}; "
            "give the labels.txt of PASCAL Context's 459 classes"
        )
    return {published[name]: index for index, name in enumerate(PascalContext.class_names) if index}


def read_map(path: Path, published_ids: Mapping[int, int]) -> np.ndarray:
    """The class ids ``[H, W]`` uint8, 0 to 59, of one published map."""
    values = read_mat(path, "LabelMap")
    if values.ndim != 2 or not np.issubdtype(values.dtype, np.integer) or values.size == 0 or values.min() < 0:
        raise DataError(f"{path}: LabelMap has shape {values.shape} and type {values.dtype}; expected a map of ids")
    table = np.zeros(max(int(values.max()), *published_ids) + 1, np.uint8)
    table[list(published_ids)] = list(published_ids.values())
    return table[values]


def convert(maps: Path, labels: Path, voc: Path, workers: int) -> tuple[int, int]:
    """Make the labels and then the lists.

    Args:
        maps: the folder of .mat files.
        labels: ``labels.txt``.
        voc: the folder ``VOC2010``.
        workers: processes.

    Returns:
        The number of maps, and how many labels were written.
    """
    if maps.suffix == ".json":
        raise DataError(
            f"--maps {maps} is a JSON file, which is not read here; give the folder of .mat files that "
            "PASCAL Context's trainval.tar.gz unpacks to"
        )
    lists = {split: voc / "ImageSets" / "Main" / f"{split}.txt" for split in ("train", "val")}
    check_there(
        [maps, labels, voc / "JPEGImages", *lists.values()], "--maps, --labels or --voc (VOC2010) is another path"
    )
    require_scipy()
    published_ids = read_published_ids(labels)
    names = {split: read_names(path) for split, path in lists.items()}
    names["trainval"] = sorted({*names["train"], *names["val"]})
    files = [path for name in names["trainval"] for path in (maps / f"{name}.mat", voc / "JPEGImages" / f"{name}.jpg")]
    check_there(files, "files that VOC 2010 lists are missing")
    pairs = [(maps / f"{name}.mat", voc / "Context" / f"{name}.png") for name in names["trainval"]]
    written = convert_all(pairs, partial(read_map, published_ids=published_ids), workers)
    for split, listed in names.items():
        write_list(voc / "ImageSets" / "Segmentation" / f"{split}_context.txt", listed)
    return len(pairs), written


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description="Make the lists and labels of PASCAL Context.")
    parser.add_argument("--maps", type=Path, required=True, metavar="DIR", help="the folder of .mat files")
    parser.add_argument("--labels", type=Path, required=True, metavar="FILE", help="labels.txt, names of the 459 ids")
    parser.add_argument("--voc", type=Path, required=True, metavar="DIR", help="the folder VOC2010")
    add_workers(parser)
    args = parser.parse_args(argv)
    with errors_told():
        found, written = convert(args.maps, args.labels, args.voc, args.workers)
        print(f"{found} images in the lists, {written} labels written, {found - written} were there already")
    return 0


if __name__ == "__main__":
    sys.exit(main())
