"""MiniDeepGlobeRoadExtraction: a selection that PaddleSeg publishes from the road track of DeepGlobe (Demir et al.,
"DeepGlobe 2018: A Challenge to Parse the Earth through Satellite Images", CVPR Workshops 2018,
https://arxiv.org/abs/1805.06561)."""

from __future__ import annotations

from shared.datasets.base import SegmentationDataset
from shared.datasets.files import check_mode
from shared.datasets.layouts import Split, records_of_list
from shared.datasets.published import PublishedArchive, find_root
from shared.registry import DATASETS

MODES = ("train", "val")
ARCHIVE = PublishedArchive(
    url="https://paddleseg.bj.bcebos.com/dataset/MiniDeepGlobeRoadExtraction.zip", folder="MiniDeepGlobeRoadExtraction"
)
_CURE = (
    "Unpack MiniDeepGlobeRoadExtraction.zip and set dataset_root to its folder MiniDeepGlobeRoadExtraction, or leave "
    "dataset_root out to have it downloaded"
)


@DATASETS.register()
class MiniDeepGlobeRoadExtraction(SegmentationDataset):
    """Background and road, seen from satellites.

    Expected below ``dataset_root``::

        {train,val}.txt    lines of "image|label", both relative to dataset_root

    Args:
        dataset_root: the folder ``MiniDeepGlobeRoadExtraction``; None: it is downloaded to the cache at the first use.
        mode: ``train`` (800 images) or ``val`` (200).

    Raises:
        DataError: the folder is laid out in another way, listed files are missing, or the download failed.
        ValueError: another ``mode``.
    """

    num_classes = 2
    ignore_index = 255
    class_names = ("background", "road")

    def __init__(self, dataset_root: str | None = None, mode: str = "train") -> None:
        check_mode(mode, MODES)
        self.mode = mode
        self.root = find_root(dataset_root, ARCHIVE)
        list_path = f"{mode}.txt"
        split = Split("MiniDeepGlobeRoadExtraction", mode, self.root, f"{list_path} with lines of 'image|label'", _CURE)
        self.records = records_of_list(split, list_path, separator="|")
