"""Make the additional labels of PASCAL VOC 2012 from SBD, for ``mode: trainaug``.

SBD is http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz:

tar xzf benchmark.tgz
python scripts/data/voc_aug.py --sbd benchmark_RELEASE --voc data/VOCdevkit

writes VOC2012/SegmentationClassAug/*.png and then VOC2012/ImageSets/Segmentation/aug.txt, the images of SBD that are in
neither ``train.txt`` nor ``val.txt``. Run again, it goes on where it stopped. Needs SciPy.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
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
from shared.datasets.pascal_voc import ARCHIVE
from shared.errors import DataError

_CLASSES = 21


def read_sbd(path: Path) -> np.ndarray:
    """The class ids ``[H, W]`` uint8, 0 to 20, of one file of SBD's folder ``cls``."""
    truth = read_mat(path, "GTcls")
    try:
        label = np.asarray(truth["Segmentation"][0][0])
    except (IndexError, ValueError) as error:
        raise DataError(f"{path} holds no GTcls.Segmentation: {error}") from error
    if label.ndim != 2 or label.size == 0 or label.min() < 0 or label.max() >= _CLASSES:
        raise DataError(f"{path}: GTcls.Segmentation is no map of class ids 0 to {_CLASSES - 1}")
    return label.astype(np.uint8)


def augment(sbd: Path, voc: Path, workers: int) -> tuple[int, int]:
    """Make the labels and then the list.

    Args:
        sbd: the folder ``benchmark_RELEASE``.
        voc: the folder ``VOCdevkit``.
        workers: processes.

    Returns:
        The length of the list, and how many labels were written.
    """
    lists = voc / "VOC2012" / "ImageSets" / "Segmentation"
    images, classes = voc / "VOC2012" / "JPEGImages", sbd / "dataset" / "cls"
    ours, theirs = [[folder / f"{name}.txt" for name in ("train", "val")] for folder in (lists, sbd / "dataset")]
    check_there([classes, *theirs, images, *ours], "--sbd (benchmark_RELEASE) or --voc (VOCdevkit) is another folder")
    require_scipy()
    known = {name for path in ours for name in read_names(path)}
    names = sorted({name for path in theirs for name in read_names(path)} - known)
    files = [path for name in names for path in (classes / f"{name}.mat", images / f"{name}.jpg")]
    check_there(files, "files that SBD lists are missing")
    target = voc / "VOC2012" / "SegmentationClassAug"
    pairs = [(classes / f"{name}.mat", target / f"{name}.png") for name in names]
    written = convert_all(pairs, read_sbd, workers)
    write_list(lists / "aug.txt", names)
    return len(names), written


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description="Make the additional labels of PASCAL VOC 2012 from SBD.")
    parser.add_argument("--sbd", type=Path, required=True, metavar="DIR", help="the folder benchmark_RELEASE")
    parser.add_argument(
        "--voc", type=Path, default=ARCHIVE.place, metavar="DIR", help="the folder VOCdevkit (default: %(default)s)"
    )
    add_workers(parser)
    args = parser.parse_args(argv)
    with errors_told():
        listed, written = augment(args.sbd, args.voc, args.workers)
        print(f"{listed} images in aug.txt, {written} labels written, {listed - written} were there already")
    return 0


if __name__ == "__main__":
    sys.exit(main())
