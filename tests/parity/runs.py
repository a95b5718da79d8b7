"""Whole runs on a tiny data set, for climbing the ladder of ``scripts/ladder`` with any network of the zoo."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from scripts.ladder.bits import Both
from shared.config.run_config import (
    Component,
    DatasetConfig,
    OptimizerConfig,
    RunConfig,
    ScheduleConfig,
    TrainConfig,
)
from shared.engine.stepper import StepperState
from tests.zoo import ZOO

NUM_CLASSES = 5
IGNORE = 255
IMAGES = ((49, 65), (60, 80), (70, 66), (49, 65), (56, 72))
CROP_WH = [49, 33]
#: Networks that compute most at the full size of the image, or have no smaller version: minutes with the larger crop.
HEAVY = ("AttentionUNet", "U2Net", "U2Netp", "UNet", "UNet3Plus", "UNetPlusPlus")
SMALL_CROP_WH = [33, 17]


def write_images(folder: Path, shift: int = 0) -> Path:
    """Five images of several sizes, labels in blocks with ignored pixels; the last one is for evaluation.

    ``shift`` moves the labels by so many pixels to the right.
    """
    rng = np.random.default_rng(5)
    lines = []
    for number, (height, width) in enumerate(IMAGES):
        label = rng.integers(0, NUM_CLASSES, (height // 8 + 1, width // 8 + 1)).astype(np.uint8)
        label = label.repeat(8, axis=0).repeat(8, axis=1)[:height, :width].copy()
        label[::9] = IGNORE
        label = np.roll(label, shift, axis=1)
        cv2.imwrite(str(folder / f"{number}.png"), rng.integers(0, 256, (height, width, 3), np.uint8))
        cv2.imwrite(str(folder / f"{number}_label.png"), label)
        lines.append(f"{number}.png {number}_label.png\n")
    (folder / "train.txt").write_text("".join(lines[:4]))
    (folder / "val.txt").write_text(lines[4])
    return folder


def _section(folder: Path, mode: str, *transforms: Component) -> DatasetConfig:
    args = {"dataset_root": str(folder), "num_classes": NUM_CLASSES, "mode": mode, f"{mode}_path": f"{mode}.txt"}
    return DatasetConfig(Component("Dataset", args), (*transforms, Component("Normalize")))


def tiny_run(name: str, folder: Path, data_format: str = "NCHW") -> RunConfig:
    """The small network of ``name`` with its recipe's losses, random transforms, and a resized evaluation."""
    size = SMALL_CROP_WH if name in HEAVY else CROP_WH
    return RunConfig(
        model=Component.from_dict(ZOO[name].small_spec),
        losses=ZOO[name].losses,
        optimizer=OptimizerConfig("momentum", momentum=0.9, weight_decay=4e-5),
        schedule=ScheduleConfig("poly", learning_rate=0.01, warmup_iters=3, warmup_start_lr=0.002),
        train=TrainConfig(iters=40, batch_size=2, seed=1),
        train_data=_section(
            folder,
            "train",
            Component("RandomPaddingCrop", {"crop_size": size}),
            Component("RandomHorizontalFlip"),
            Component("RandomDistort"),
        ),
        val_data=_section(folder, "val", Component("Resize", {"target_size": size})),
        num_classes=NUM_CLASSES,
        ignore_index=IGNORE,
        data_format=data_format,
    )


def spread_weights(pair: Both) -> None:
    """Kernels large enough for every class to be predicted somewhere, the same in both modes."""
    rng = np.random.default_rng(1)
    state = pair.eager.state()
    for name, value in state.model.items():
        if value.ndim == 4:
            std = np.sqrt(2 / np.prod(value.shape[1:]))
            state.model[name] = rng.normal(0, std, value.shape).astype(value.dtype)
    for stepper in pair:
        stepper.load_state(StepperState(state.model, {}))
