"""PASCAL Context (Mottaghi et al., "The Role of Context for Object Detection and Semantic Segmentation in the Wild",
CVPR 2014, https://cs.stanford.edu/~roozbeh/pascal-context/): whole scenes of PASCAL VOC 2010."""

from __future__ import annotations

from shared.datasets.base import SegmentationDataset
from shared.datasets.files import absolute, check_mode
from shared.datasets.layouts import Split, records_of_names
from shared.datasets.pascal_voc import voc_palette
from shared.registry import DATASETS

MODES = ("train", "trainval", "val")
_CURE = (
    "Make the lists and labels with scripts/data/pascal_context.py, and set dataset_root to the folder VOC2010 that "
    "holds JPEGImages"
)


@DATASETS.register()
class PascalContext(SegmentationDataset):
    """The 59 most frequent classes of PASCAL Context; everything else is background, class 0.

    Expected below ``dataset_root``, as ``scripts/data/pascal_context.py`` makes it::

        JPEGImages/<name>.jpg
        ImageSets/Segmentation/{train,val,trainval}_context.txt    one name a line
        Context/<name>.png                                         class ids 0 to 59

    The data set defines no colours; these are VOC's colour map, continued.

    Args:
        dataset_root: the folder ``VOC2010`` of VOC 2010's development kit.
        mode: ``train`` (4,998 images), ``val`` (5,105) or ``trainval`` (both).

    Raises:
        DataError: the folder is laid out in another way, or listed files are missing.
        ValueError: another ``mode``.
    """

    num_classes = 60
    ignore_index = 255
    class_names = (
        *("background", "aeroplane", "bag", "bed", "bedclothes", "bench", "bicycle", "bird", "boat", "book", "bottle"),
        *("building", "bus", "cabinet", "car", "cat", "ceiling", "chair", "cloth", "computer", "cow", "cup", "curtain"),
        *("dog", "door", "fence", "floor", "flower", "food", "grass", "ground", "horse", "keyboard", "light"),
        *("motorbike", "mountain", "mouse", "person", "plate", "platform", "pottedplant", "road", "rock", "sheep"),
        *("shelves", "sidewalk", "sign", "sky", "snow", "sofa", "table", "track", "train", "tree", "truck"),
        *("tvmonitor", "wall", "water", "window", "wood"),
    )
    palette = voc_palette(60)

    def __init__(self, dataset_root: str, mode: str = "train") -> None:
        check_mode(mode, MODES)
        self.mode = mode
        self.root = absolute(dataset_root)
        list_path = f"ImageSets/Segmentation/{mode}_context.txt"
        expected = f"{list_path}, JPEGImages/<name>.jpg and Context/<name>.png"
        split = Split("PascalContext", mode, self.root, expected, _CURE)
        self.records = records_of_names(split, "JPEGImages", {list_path: "Context"})
