"""COCO-Stuff (Caesar et al., "COCO-Stuff: Thing and Stuff Classes in Context", CVPR 2018,
https://arxiv.org/abs/1612.03716): the pixel maps of COCO 2017."""

from __future__ import annotations

from shared.datasets.base import SegmentationDataset
from shared.datasets.files import absolute, check_mode
from shared.datasets.layouts import Split, records_of_folders
from shared.registry import DATASETS

#: Values 0 to 181 of the published pixel maps that no class has; the others are the 171 classes in order.
UNUSED_VALUES = (11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90)

_FOLDERS = {"train": "train2017", "val": "val2017"}
_ENDING = "_labelTrainIds"
_CURE = (
    "Set dataset_root to the folder that holds images and annotations; scripts/data/coco_stuff.py makes the "
    "annotations from stuffthingmaps_trainval2017.zip"
)


@DATASETS.register()
class CocoStuff(SegmentationDataset):
    """80 classes of things and 91 of stuff; unlabelled is 255.

    Expected below ``dataset_root``::

        images/{train,val}2017/<name>.jpg
        annotations/{train,val}2017/<name>.png    class ids 0 to 170, as scripts/data/coco_stuff.py makes them

    Where labels are called ``<name>_labelTrainIds.png``, as another converter calls them, only these are taken.
    The data set defines no colours.

    Args:
        dataset_root: the folder that holds ``images`` and ``annotations``.
        mode: ``train`` (118,287 images) or ``val`` (5,000).

    Raises:
        DataError: the folder is laid out in another way, or files have no partner.
        ValueError: another ``mode``.
    """

    num_classes = 171
    ignore_index = 255
    class_names = (
        *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light"),
        *("fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow"),
        *("elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee"),
        *("skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard"),
        *("tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple"),
        *("sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch"),
        *("potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard"),
        *("cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors"),
        *("teddy bear", "hair drier", "toothbrush"),
        *("banner", "blanket", "branch", "bridge", "building-other", "bush", "cabinet", "cage", "cardboard"),
        *("carpet", "ceiling-other", "ceiling-tile", "cloth", "clothes", "clouds", "counter", "cupboard", "curtain"),
        *("desk-stuff", "dirt", "door-stuff", "fence", "floor-marble", "floor-other", "floor-stone", "floor-tile"),
        *("floor-wood", "flower", "fog", "food-other", "fruit", "furniture-other", "grass", "gravel"),
        *("ground-other", "hill", "house", "leaves", "light", "mat", "metal", "mirror-stuff", "moss", "mountain"),
        *("mud", "napkin", "net", "paper", "pavement", "pillow", "plant-other", "plastic", "platform"),
        *("playingfield", "railing", "railroad", "river", "road", "rock", "roof", "rug", "salad", "sand", "sea"),
        *("shelf", "sky-other", "skyscraper", "snow", "solid-other", "stairs", "stone", "straw"),
        *("structural-other", "table", "tent", "textile-other", "towel", "tree", "vegetable", "wall-brick"),
        *("wall-concrete", "wall-other", "wall-panel", "wall-stone", "wall-tile", "wall-wood", "water-other"),
        *("waterdrops", "window-blind", "window-other", "wood"),
    )

    def __init__(self, dataset_root: str, mode: str = "train") -> None:
        check_mode(mode, tuple(_FOLDERS))
        self.mode = mode
        self.root = absolute(dataset_root)
        images, labels = f"images/{_FOLDERS[mode]}", f"annotations/{_FOLDERS[mode]}"
        split = Split("CocoStuff", mode, self.root, f"{images}/<name>.jpg and {labels}/<name>.png", _CURE)
        self.records = records_of_folders(split, images, labels, _ENDING)
