"""Cityscapes (Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016,
https://arxiv.org/abs/1604.01685) in the folders its archives unpack to."""

from __future__ import annotations

import os

from shared.datasets.base import Record, SegmentationDataset
from shared.datasets.files import absolute, check_mode, what_is_in
from shared.errors import DataError, EntriesError
from shared.registry import DATASETS

_IMAGE = "_leftImg8bit.png"
_LABEL = "_gtFine_labelTrainIds.png"
_RAW_LABEL = "_gtFine_labelIds.png"
_CONVERT = "run cityscapesscripts' createTrainIdLabelImgs (pip install cityscapesscripts; set CITYSCAPES_DATASET)"

_CLASSES = (  # train id, name and colour (RGB), as the data set's own scripts define them
    ("road", (128, 64, 128)),
    ("sidewalk", (244, 35, 232)),
    ("building", (70, 70, 70)),
    ("wall", (102, 102, 156)),
    ("fence", (190, 153, 153)),
    ("pole", (153, 153, 153)),
    ("traffic light", (250, 170, 30)),
    ("traffic sign", (220, 220, 0)),
    ("vegetation", (107, 142, 35)),
    ("terrain", (152, 251, 152)),
    ("sky", (70, 130, 180)),
    ("person", (220, 20, 60)),
    ("rider", (255, 0, 0)),
    ("car", (0, 0, 142)),
    ("truck", (0, 0, 70)),
    ("bus", (0, 60, 100)),
    ("train", (0, 80, 100)),
    ("motorcycle", (0, 0, 230)),
    ("bicycle", (119, 11, 32)),
)


@DATASETS.register()
class Cityscapes(SegmentationDataset):
    """The 19 training classes of Cityscapes; void is 255.

    Expected below ``dataset_root``, any part of which may be a symbolic link::

        leftImg8bit/<split>/<city>/<frame>_leftImg8bit.png
        gtFine/<split>/<city>/<frame>_gtFine_labelTrainIds.png

    Args:
        dataset_root: the folder that holds ``leftImg8bit`` and ``gtFine``.
        mode: ``train``, ``val``, ``trainval`` (both), or ``test``, whose labels are not published: images only.

    Raises:
        DataError: the folders are not laid out so, or an image has no label or a label no image.
        ValueError: another ``mode``.
    """

    num_classes = 19
    ignore_index = 255
    class_names = tuple(name for name, _ in _CLASSES)
    palette = tuple(colour for _, colour in _CLASSES)

    def __init__(self, dataset_root: str, mode: str = "train") -> None:
        check_mode(mode)
        self.mode = mode
        self.root = absolute(dataset_root)
        splits = ("train", "val") if mode == "trainval" else (mode,)
        self.records = [record for split in splits for record in self._split_records(split)]

    def _split_records(self, split: str) -> list[Record]:
        images = self._scan("leftImg8bit", split, _IMAGE)
        if not images:
            raise self._layout_error(split, os.path.join("leftImg8bit", split))
        if split == "test":
            return [Record(image, None, frame) for frame, image in images.items()]
        labels = self._scan("gtFine", split, _LABEL)
        raw_labels = {} if images.keys() <= labels.keys() else self._scan("gtFine", split, _RAW_LABEL)
        if not labels:
            if raw_labels:
                raise DataError(
                    f"{os.path.join(self.root, 'gtFine', split)} has {len(raw_labels)} *{_RAW_LABEL} files but none of "
                    f"the *{_LABEL} files that training needs; {_CONVERT}"
                )
            raise self._layout_error(split, os.path.join("gtFine", split))
        problems = [f"{split}/{frame}: {_missing(frame, raw_labels)}" for frame in images if frame not in labels]
        problems += [f"{split}/{frame}: label without an image" for frame in labels if frame not in images]
        good = [Record(image, labels[frame], f"{split}/{frame}") for frame, image in images.items() if frame in labels]
        if problems:
            raise EntriesError(f"Cityscapes in {self.root}: images and labels do not match", problems, good)
        return good

    def _scan(self, kind: str, split: str, suffix: str) -> dict[str, str]:
        """``city/frame`` -> path of the files ending in ``suffix``, sorted; empty where the folder is missing."""
        folder = os.path.join(self.root, kind, split)
        found: dict[str, str] = {}
        for city in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            city_folder = os.path.join(folder, city)
            for name in sorted(os.listdir(city_folder)) if os.path.isdir(city_folder) else ():
                if name.endswith(suffix) and not name.startswith("."):
                    found[f"{city}/{name[: -len(suffix)]}"] = os.path.join(city_folder, name)
        return found

    def _layout_error(self, split: str, missing: str) -> DataError:
        return DataError(
            f"dataset_root {self.root} lacks the Cityscapes split {split!r}: expected "
            f"leftImg8bit/{split}/<city>/*{_IMAGE} and gtFine/{split}/<city>/*{_LABEL}, but "
            f"{what_is_in(os.path.join(self.root, missing))}. Unpack leftImg8bit_trainvaltest.zip and "
            "gtFine_trainvaltest.zip there, or set dataset_root to the folder that holds leftImg8bit and gtFine"
        )


def _missing(frame: str, raw_labels: dict[str, str]) -> str:
    if frame in raw_labels:
        return f"image without *{_LABEL}, though *{_RAW_LABEL} is there; {_CONVERT}"
    return f"image without *{_LABEL}"
