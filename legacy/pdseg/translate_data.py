"""DATASET and AUG of the static configuration as data sets with their transforms.

In training an image is resized as ``AUG_METHOD`` says, changed by what ``RICH_CROP`` enables (blur, rotation, area and
aspect, colour), cropped with padding to ``TRAIN_CROP_SIZE``, flipped (``FLIP``: upside down, ``MIRROR``: left to right)
and normalised. The colour change draws brightness, contrast and saturation for every image, and leaves the hue.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any

from yacs.config import CfgNode

from legacy.pdseg.yacs_tree import Problems
from shared.config.run_config import Component, DatasetConfig

#: The list options of each part of the data.
LIST_KEYS: Mapping[str, tuple[str, ...]] = {
    "train": ("TRAIN_FILE_LIST",),
    "val": ("VAL_FILE_LIST",),
    "vis": ("VIS_FILE_LIST", "TEST_FILE_LIST"),
}
CITYSCAPES_CLASSES = 19
CITYSCAPES_IGNORE = 255


def translate_data(
    cfg: CfgNode, problems: Problems, check_lists: Collection[str]
) -> tuple[DatasetConfig | None, DatasetConfig | None]:
    """The data to train on and to evaluate on.

    With neither of their lists named, ``DATA_DIR`` is read in the Cityscapes layout. With one of them named, the part
    whose list is empty is None.

    Args:
        cfg: the tree.
        problems: findings are added here.
        check_lists: of which parts (``train``, ``val``, ``vis``) a named list must exist already.
    """
    for part in check_lists:
        for name in LIST_KEYS[part]:
            _check_list(cfg, name, problems)
    train_list, val_list = cfg.DATASET.TRAIN_FILE_LIST, cfg.DATASET.VAL_FILE_LIST
    if train_list or val_list:
        train, val = _listed(cfg, "train", train_list), _listed(cfg, "val", val_list)
    else:
        _check_cityscapes(cfg, problems)
        train, val = _cityscapes(cfg, "train"), _cityscapes(cfg, "val")
    return _with(train, _train_transforms(cfg, problems), cfg), _with(val, _eval_transforms(cfg, problems), cfg)


def _with(dataset: Component | None, transforms: list[Component], cfg: CfgNode) -> DatasetConfig | None:
    return None if dataset is None else DatasetConfig(dataset, tuple(transforms), to_rgb=cfg.AUG.TO_RGB)


def _cityscapes(cfg: CfgNode, mode: str) -> Component:
    return Component("Cityscapes", {"dataset_root": cfg.DATASET.DATA_DIR, "mode": mode})


def _listed(cfg: CfgNode, mode: str, path: str | None) -> Component | None:
    if not path:
        return None
    args = {
        "dataset_root": cfg.DATASET.DATA_DIR,
        "num_classes": cfg.DATASET.NUM_CLASSES,
        "mode": mode,
        f"{mode}_path": path,
        "separator": cfg.DATASET.SEPARATOR,
        "ignore_index": cfg.DATASET.IGNORE_INDEX,
    }
    return Component("Dataset", args)


def _check_cityscapes(cfg: CfgNode, problems: Problems) -> None:
    """The layout fixes what the labels mean."""
    fixed = {"NUM_CLASSES": CITYSCAPES_CLASSES, "IGNORE_INDEX": CITYSCAPES_IGNORE, "SEPARATOR": " "}
    for name, value in fixed.items():
        if cfg.DATASET[name] != value:
            problems.add(
                f"DATASET.{name}",
                f"got {cfg.DATASET[name]!r}, but no list is named, and DATA_DIR is then read in the Cityscapes layout, "
                f"where it is {value!r}; for other data name DATASET.TRAIN_FILE_LIST and DATASET.VAL_FILE_LIST",
            )


def _check_list(cfg: CfgNode, name: str, problems: Problems) -> None:
    """A named list must be a file, seen from the working directory or from DATA_DIR."""
    path, root = cfg.DATASET[name], cfg.DATASET.DATA_DIR
    tried = [os.path.abspath(path), os.path.abspath(os.path.join(root, path))] if path else []
    if not path or any(os.path.isfile(candidate) for candidate in tried):
        return
    sentence = f"there is no file {path!r} (tried {' and '.join(dict.fromkeys(tried))})"
    if all(os.path.isdir(os.path.join(root, folder)) for folder in ("leftImg8bit", "gtFine")):
        sentence += f"; {root} has leftImg8bit and gtFine: leave {name} empty to read that layout"
    else:
        sentence += f"; write one 'image{cfg.DATASET.SEPARATOR}label' a line, each path relative to DATASET.DATA_DIR"
    problems.add(f"DATASET.{name}", sentence)


def _train_transforms(cfg: CfgNode, problems: Problems) -> list[Component]:
    aug = cfg.AUG
    transforms = [_train_resize(cfg, problems)]
    if aug.RICH_CROP.ENABLE:
        transforms += _rich_crop(cfg)
    if aug.AUG_METHOD != "unpadding":
        size = _required_size(cfg, "TRAIN_CROP_SIZE", problems)
        transforms.append(Component("RandomPaddingCrop", {"crop_size": size, **_padding(cfg)}))
    if aug.FLIP:
        transforms.append(Component("RandomVerticalFlip", {"prob": aug.FLIP_RATIO}))
    if aug.MIRROR:
        transforms.append(Component("RandomHorizontalFlip", {"prob": 0.5}))
    return [*transforms, _normalize(cfg)]


def _train_resize(cfg: CfgNode, problems: Problems) -> Component:
    aug = cfg.AUG
    if aug.AUG_METHOD == "unpadding":
        return _fixed_resize(cfg, problems)
    if aug.AUG_METHOD == "rangescaling":
        _check_order("MIN_RESIZE_VALUE", "MAX_RESIZE_VALUE", aug, problems)
        return Component("ResizeRangeScaling", {"min_value": aug.MIN_RESIZE_VALUE, "max_value": aug.MAX_RESIZE_VALUE})
    _check_order("MIN_SCALE_FACTOR", "MAX_SCALE_FACTOR", aug, problems)
    return Component(
        "ResizeStepScaling",
        {
            "min_scale_factor": aug.MIN_SCALE_FACTOR,
            "max_scale_factor": aug.MAX_SCALE_FACTOR,
            "scale_step_size": aug.SCALE_STEP_SIZE,
        },
    )


def _eval_transforms(cfg: CfgNode, problems: Problems) -> list[Component]:
    method = cfg.AUG.AUG_METHOD
    if method == "unpadding":
        return [_fixed_resize(cfg, problems), _normalize(cfg)]
    size = _required_size(cfg, "EVAL_CROP_SIZE", problems)
    transforms = [Component("Padding", {"target_size": size, **_padding(cfg)}), _normalize(cfg)]
    if method == "rangescaling":
        transforms.insert(0, Component("ResizeByLong", {"long_size": cfg.AUG.INF_RESIZE_VALUE}))
    return transforms


def _fixed_resize(cfg: CfgNode, problems: Problems) -> Component:
    """``unpadding``: every image gets one size, and a crop size that contradicts it is a finding."""
    size = cfg.AUG.FIX_RESIZE_SIZE
    if not size:
        problems.add("AUG.FIX_RESIZE_SIZE", "AUG_METHOD unpadding needs it: the (width, height) images are resized to")
    for key in ("TRAIN_CROP_SIZE", "EVAL_CROP_SIZE"):
        if size and cfg[key] and cfg[key] != size:
            problems.add(
                key,
                f"got {cfg[key]}, but AUG_METHOD unpadding resizes every image to AUG.FIX_RESIZE_SIZE {size} and crops "
                "none; give both the same value, or leave it out",
            )
    return Component("Resize", {"target_size": list(size)})


def _rich_crop(cfg: CfgNode) -> list[Component]:
    """The parts of RICH_CROP that do something; a part set to 0 is left out."""
    rich = cfg.AUG.RICH_CROP
    parts = []
    if rich.BLUR and rich.BLUR_RATIO > 0:
        parts.append(Component("RandomBlur", {"prob": rich.BLUR_RATIO}))
    if rich.MAX_ROTATION > 0:
        parts.append(Component("RandomRotation", {"max_rotation": rich.MAX_ROTATION, **_padding(cfg)}))
    if rich.MIN_AREA_RATIO > 0 and rich.ASPECT_RATIO > 0:
        args = {"min_scale": rich.MIN_AREA_RATIO, "aspect_ratio": rich.ASPECT_RATIO}
        parts.append(Component("RandomScaleAspect", args))
    jitter: dict[str, Any] = {}
    for part in ("brightness", "contrast", "saturation"):
        ratio = rich[f"{part.upper()}_JITTER_RATIO"]
        jitter.update({f"{part}_range": ratio, f"{part}_prob": 1.0 if ratio > 0 else 0.0})
    if any(jitter[f"{part}_prob"] for part in ("brightness", "contrast", "saturation")):
        parts.append(Component("RandomDistort", {**jitter, "hue_prob": 0.0, "sharpness_prob": 0.0}))
    return parts


def _padding(cfg: CfgNode) -> dict[str, Any]:
    return {"im_padding_value": list(cfg.DATASET.PADDING_VALUE), "label_padding_value": cfg.DATASET.IGNORE_INDEX}


def _normalize(cfg: CfgNode) -> Component:
    return Component("Normalize", {"mean": list(cfg.MEAN), "std": list(cfg.STD)})


def _required_size(cfg: CfgNode, key: str, problems: Problems) -> list[int]:
    if not cfg[key]:
        problems.add(key, f"AUG_METHOD {cfg.AUG.AUG_METHOD} needs it: (width, height) in pixels, as in (1024, 512)")
    return list(cfg[key])


def _check_order(low: str, high: str, aug: CfgNode, problems: Problems) -> None:
    if aug[low] > aug[high]:
        problems.add(f"AUG.{low}", f"got {aug[low]}, which is above AUG.{high} {aug[high]}; swap them")
