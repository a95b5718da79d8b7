"""OpticDiscSeg: optic discs on photographs of the retina, a small selection that PaddleSeg publishes from the
iChallenge-AMD (https://ai.baidu.com/broad/subordinate?dataset=amd) for first steps."""

from __future__ import annotations

from shared.datasets.base import SegmentationDataset
from shared.datasets.files import check_mode
from shared.datasets.layouts import Split, records_of_list
from shared.datasets.published import PublishedArchive, find_root
from shared.registry import DATASETS

MODES = ("train", "val", "test")
ARCHIVE = PublishedArchive(url="https://paddleseg.bj.bcebos.com/dataset/optic_disc_seg.zip", folder="optic_disc_seg")
_CURE = (
    "Unpack optic_disc_seg.zip and set dataset_root to its folder optic_disc_seg, or leave dataset_root out to have it "
    "downloaded"
)


@DATASETS.register()
class OpticDiscSeg(SegmentationDataset):
    """Background and optic disc.

    Expected below ``dataset_root``::

        {train,val,test}_list.txt    lines of "JPEGImages/<name>.jpg Annotations/<name>.png"
        JPEGImages/<name>.jpg
        Annotations/<name>.png

    Args:
        dataset_root: the folder ``optic_disc_seg``; None: it is downloaded (19 MB) to the cache at the first use.
        mode: ``train``, ``val`` or ``test`` (where labels may be missing).

    Raises:
        DataError: the folder is laid out in another way, listed files are missing, or the download failed.
        ValueError: another ``mode``.
    """

    num_classes = 2
    ignore_index = 255
    class_names = ("background", "optic disc")

    def __init__(self, dataset_root: str | None = None, mode: str = "train") -> None:
        check_mode(mode, MODES)
        self.mode = mode
        self.root = find_root(dataset_root, ARCHIVE)
        list_path = f"{mode}_list.txt"
        expected = f"{list_path} with lines of 'JPEGImages/<name>.jpg Annotations/<name>.png'"
        split = Split("OpticDiscSeg", mode, self.root, expected, _CURE)
        self.records = records_of_list(split, list_path, separator=None, labels_optional=mode == "test")
