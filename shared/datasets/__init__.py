"""Data sets. Importing this package fills ``shared.registry.DATASETS``."""

from shared.datasets.ade20k import ADE20K
from shared.datasets.cityscapes import Cityscapes
from shared.datasets.coco_stuff import CocoStuff
from shared.datasets.dataset import Dataset
from shared.datasets.mini_deep_globe import MiniDeepGlobeRoadExtraction
from shared.datasets.optic_disc_seg import OpticDiscSeg
from shared.datasets.pascal_context import PascalContext
from shared.datasets.pascal_voc import PascalVOC

__all__ = [
    "ADE20K",
    "Cityscapes",
    "CocoStuff",
    "Dataset",
    "MiniDeepGlobeRoadExtraction",
    "OpticDiscSeg",
    "PascalContext",
    "PascalVOC",
]
