"""Tiny copies of every data set's published layout, and what reading them must give, said by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from shared.datasets.base import SegmentationDataset
from shared.preflight.entries import look_at_all

IMAGE_HW = (5, 8)
Pair = tuple[str, str]


def stored_values(label: str, highest: int, ignored: Sequence[int] = (255,)) -> np.ndarray:
    """``[5, 8]`` uint8, drawn from the file's name: values 0 to ``highest`` and ``ignored``, all ends among them."""
    rng = np.random.default_rng(list(label.encode()))
    values = rng.integers(0, highest + 1, IMAGE_HW).astype(np.uint8)
    values[0, :2] = 0, highest
    values[1, : len(ignored)] = ignored
    return values


@dataclass(frozen=True)
class Tree:
    """A data set's layout with three or more images.

    Attributes:
        pairs: of each mode: image and label below ``dataset_root``, in order.
        lists: text files below ``dataset_root``.
        highest: greatest value in the label files beside 255.
        ignored: values of pixels without a class in the label files.
        class_ids: what the label files' values are to become.
        palette: label files are palette images.
        arguments: of the constructor beside ``dataset_root`` and ``mode``.
        url: of the archive; None where the data set is not downloaded.
        folder: of the archive that is ``dataset_root``.
    """

    pairs: Mapping[str, Sequence[Pair]]
    highest: int
    lists: Mapping[str, str] = field(default_factory=dict)
    ignored: Sequence[int] = (255,)
    class_ids: Callable[[np.ndarray], np.ndarray] = lambda values: values
    palette: bool = False
    arguments: Mapping[str, object] = field(default_factory=dict)
    url: str | None = None
    folder: str = ""

    def write(self, root: Path) -> Path:
        for pairs in self.pairs.values():
            for image, label in pairs:
                write_image(root / image)
                write_label(root / label, stored_values(label, self.highest, self.ignored), self.palette)
        for name, text in self.lists.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return root

    def expected_label(self, label: str) -> np.ndarray:
        return self.class_ids(stored_values(label, self.highest, self.ignored))


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(list(path.name.encode())).integers(0, 256, (*IMAGE_HW, 3)).astype(np.uint8)
    assert cv2.imwrite(str(path), pixels)


def write_label(path: Path, values: np.ndarray, palette: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values)
    if palette:  # colours that are not the indices
        image.putpalette(np.random.default_rng(1).integers(0, 256, 768).astype(np.uint8).tobytes())
    image.save(path)


def _voc(name: str, labels: str = "SegmentationClass") -> Pair:
    return f"VOC2012/JPEGImages/{name}.jpg", f"VOC2012/{labels}/{name}.png"


def _ade(split: str, name: str) -> Pair:
    return f"images/{split}/{name}.jpg", f"annotations/{split}/{name}.png"


def _frame(split: str, frame: str) -> Pair:
    place = f"{split}/{frame.partition('_')[0]}/{frame}"
    return f"leftImg8bit/{place}_leftImg8bit.png", f"gtFine/{place}_gtFine_labelTrainIds.png"


_SETS = "VOC2012/ImageSets/Segmentation"
_VOC_TRAIN = [_voc("2007_000032"), _voc("2007_000039")]
_VOC_VAL = [_voc("2007_000033")]
_CITY_TRAIN = [_frame("train", "aachen_000000_000019"), _frame("train", "ulm_000001_000019")]
_CITY_VAL = [_frame("val", "lindau_000000_000019")]
_CONTEXT = {name: (f"JPEGImages/{name}.jpg", f"Context/{name}.png") for name in ("2008_2", "2008_3", "2008_7")}
_LISTED = {name: (f"JPEGImages/{name}.jpg", f"Annotations/{name}.png") for name in ("H1", "H2", "N3", "T4")}
_ROADS = {name: (f"{name}_sat.jpg", f"{name}_mask.png") for name in ("train/1", "train/2", "val/3")}
_OWN = [("images/a.png", "labels/a.png"), ("images/b.png", "labels/b.png"), ("images/c.png", "labels/c.png")]

TREES: Mapping[str, Tree] = {
    "Cityscapes": Tree({"train": _CITY_TRAIN, "val": _CITY_VAL, "trainval": _CITY_TRAIN + _CITY_VAL}, highest=18),
    "Dataset": Tree(
        {"train": _OWN[:2], "val": _OWN[2:], "trainval": _OWN},
        highest=6,
        lists={"a.txt": "".join(f"{i} {j}\n" for i, j in _OWN[:2]), "b.txt": "images/c.png labels/c.png\n"},
        arguments={"num_classes": 7, "train_path": "a.txt", "val_path": "b.txt"},
    ),
    "PascalVOC": Tree(
        {
            "train": _VOC_TRAIN,
            "val": _VOC_VAL,
            "trainval": [_VOC_TRAIN[0], _VOC_VAL[0], _VOC_TRAIN[1]],
            "trainaug": [*_VOC_TRAIN, _voc("2008_000008", "SegmentationClassAug")],
        },
        highest=20,
        lists={
            f"{_SETS}/train.txt": "2007_000032\n2007_000039\n",
            f"{_SETS}/val.txt": "2007_000033\n",
            f"{_SETS}/trainval.txt": "2007_000032\n2007_000033\n2007_000039\n",
            f"{_SETS}/aug.txt": "2008_000008\n",
        },
        palette=True,
        url="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
        folder="VOCdevkit",
    ),
    "ADE20K": Tree(
        {
            "train": [_ade("training", "ADE_train_00000001"), _ade("training", "ADE_train_00000002")],
            "val": [_ade("validation", "ADE_val_00000001")],
        },
        highest=150,
        ignored=(0,),
        class_ids=lambda values: np.where(values == 0, 255, values.astype(int) - 1).astype(np.uint8),
        url="http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip",
        folder="ADEChallengeData2016",
    ),
    "PascalContext": Tree(
        {
            "train": [_CONTEXT["2008_2"], _CONTEXT["2008_7"]],
            "val": [_CONTEXT["2008_3"]],
            "trainval": [_CONTEXT["2008_2"], _CONTEXT["2008_3"], _CONTEXT["2008_7"]],
        },
        highest=59,
        lists={
            "ImageSets/Segmentation/train_context.txt": "2008_2\n2008_7\n",
            "ImageSets/Segmentation/val_context.txt": "2008_3\n",
            "ImageSets/Segmentation/trainval_context.txt": "2008_2\n2008_3\n2008_7\n",
        },
    ),
    "CocoStuff": Tree(
        {
            "train": [_ade("train2017", "000000000009"), _ade("train2017", "000000000025")],
            "val": [_ade("val2017", "000000000139")],
        },
        highest=170,
    ),
    "OpticDiscSeg": Tree(
        {"train": [_LISTED["H2"], _LISTED["H1"]], "val": [_LISTED["N3"]], "test": [_LISTED["T4"]]},
        highest=1,
        lists={
            "train_list.txt": "JPEGImages/H2.jpg Annotations/H2.png\nJPEGImages/H1.jpg Annotations/H1.png\n",
            "val_list.txt": "JPEGImages/N3.jpg Annotations/N3.png\n",
            "test_list.txt": "JPEGImages/T4.jpg Annotations/T4.png\n",
        },
        url="https://paddleseg.bj.bcebos.com/dataset/optic_disc_seg.zip",
        folder="optic_disc_seg",
    ),
    "MiniDeepGlobeRoadExtraction": Tree(
        {"train": [_ROADS["train/1"], _ROADS["train/2"]], "val": [_ROADS["val/3"]]},
        highest=1,
        lists={
            "train.txt": "train/1_sat.jpg|train/1_mask.png\ntrain/2_sat.jpg|train/2_mask.png\n",
            "val.txt": "val/3_sat.jpg|val/3_mask.png\n",
        },
        url="https://paddleseg.bj.bcebos.com/dataset/MiniDeepGlobeRoadExtraction.zip",
        folder="MiniDeepGlobeRoadExtraction",
    ),
}
DOWNLOADED = [name for name, tree in TREES.items() if tree.url]


def look_at_entries(dataset: SegmentationDataset) -> None:
    """Decode every entry; raise the first error."""
    for look in look_at_all(dataset.records, dataset):
        if look.error is not None:
            raise look.error
