"""PASCAL VOC 2012 (Everingham et al., "The Pascal Visual Object Classes Challenge: A Retrospective", IJCV 2015,
https://doi.org/10.1007/s11263-014-0733-5), with the additional labels of SBD (Hariharan et al., "Semantic Contours from
Inverse Detectors", ICCV 2011) where they have been prepared."""

from __future__ import annotations

from shared.datasets.base import SegmentationDataset
from shared.datasets.files import check_mode
from shared.datasets.layouts import Split, records_of_names
from shared.datasets.published import PublishedArchive, find_root
from shared.registry import DATASETS
from shared.visualize.palette import default_palette

MODES = ("train", "trainval", "trainaug", "val")
ARCHIVE = PublishedArchive(
    url="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar", folder="VOCdevkit"
)
_LISTS = "VOC2012/ImageSets/Segmentation"
_LABELS = "VOC2012/SegmentationClass"
_UNPACK = (
    "Unpack VOCtrainval_11-May-2012.tar and set dataset_root to its folder VOCdevkit, or leave dataset_root out to "
    "have it downloaded"
)
_AUGMENT = "; then run scripts/data/voc_aug.py, which makes aug.txt and SegmentationClassAug"


def voc_palette(num_classes: int) -> tuple[tuple[int, ...], ...]:
    """The colour map of the VOC development kit: black, dark red, green, olive, ..."""
    return ((0, 0, 0), *(tuple(colour) for colour in default_palette(num_classes - 1).tolist()))


@DATASETS.register()
class PascalVOC(SegmentationDataset):
    """The 20 classes of PASCAL VOC 2012 and their background; the void between objects is 255.

    Expected below ``dataset_root``::

        VOC2012/ImageSets/Segmentation/{train,val,trainval}.txt    one name a line
        VOC2012/JPEGImages/<name>.jpg
        VOC2012/SegmentationClass/<name>.png                       palette images: their indices are the classes

    and for ``trainaug``, which ``scripts/data/voc_aug.py`` makes from SBD::

        VOC2012/ImageSets/Segmentation/aug.txt
        VOC2012/SegmentationClassAug/<name>.png

    Args:
        dataset_root: the folder ``VOCdevkit``; None: it is downloaded (2 GB) to the cache at the first use.
        mode: ``train`` (1,464 images), ``val`` (1,449), ``trainval`` (both) or ``trainaug`` (``train`` and the names
            of ``aug.txt``, 10,582 in all).

    Raises:
        DataError: the folder is laid out in another way, listed files are missing, or the download failed.
        ValueError: another ``mode``.
    """

    num_classes = 21
    ignore_index = 255
    class_names = (
        *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
        *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
    )
    palette = voc_palette(21)

    def __init__(self, dataset_root: str | None = None, mode: str = "train") -> None:
        check_mode(mode, MODES)
        self.mode = mode
        self.root = find_root(dataset_root, ARCHIVE)
        lists = {f"{_LISTS}/{mode}.txt": _LABELS}
        if mode == "trainaug":
            lists = {f"{_LISTS}/train.txt": _LABELS, f"{_LISTS}/aug.txt": f"{_LABELS}Aug"}
        parts = [f"{path}, {labels}/<name>.png" for path, labels in lists.items()]
        expected = f"{', '.join(parts)} and VOC2012/JPEGImages/<name>.jpg"
        split = Split("PascalVOC", mode, self.root, expected, _UNPACK + _AUGMENT * (mode == "trainaug"))
        self.records = records_of_names(split, "VOC2012/JPEGImages", lists)
