"""Street frames of 2048x1024 as PNG: those beside the checkout, or drawn ones."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from scripts.bench import peers

SIZE = "2048x1024"
RECIPE = peers.ROOT / "configs" / "_base_" / "cityscapes.yml"


def root_of_frames(given: Path | None, train: int = 8, val: int = 50) -> Path:
    """A folder in the Cityscapes layout: the given one, or drawn frames in ``.bench/streets`` (made once)."""
    if given is not None:
        if not (given / "leftImg8bit").is_dir():
            sys.exit(f"error: --data: {given} has no folder leftImg8bit; give the root of a Cityscapes layout")
        return given.resolve()
    folder = peers.HOME / "streets"
    if len(list((folder / "gtFine").rglob("*_labelTrainIds.png"))) < train + val:
        print(f"drawing {train + val} frames into {folder} (once; a few minutes)", file=sys.stderr, flush=True)
        counts = ["--train", str(train), "--val", str(val)]
        script = str(peers.ROOT / "scripts" / "make_street_scenes.py")
        subprocess.run([sys.executable, script, "--out", str(folder), *counts, "--size", SIZE, "--force"], check=True)
    return folder


def list_file(root: Path) -> Path:
    """A list of all training and validation pairs below ``root``, ``image label`` a line, in ``.bench``."""
    pairs = []
    for image in sorted((root / "leftImg8bit").rglob("*_leftImg8bit.png")):
        place = image.relative_to(root / "leftImg8bit")
        label = root / "gtFine" / place.with_name(place.name.replace("_leftImg8bit", "_gtFine_labelTrainIds"))
        if label.is_file():
            pairs.append(f"{image.relative_to(root)} {label.relative_to(root)}\n")
    if not pairs:
        sys.exit(f"error: {root} has no pair of leftImg8bit/... and gtFine/..._labelTrainIds.png")
    path = peers.HOME / f"list-{root.name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(pairs), encoding="utf-8")
    return path


def training_steps(crop_wh: Sequence[int] = (1024, 512)) -> list[dict]:
    """The transforms of the Cityscapes recipes, as their file has them."""
    steps = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))["train_dataset"]["transforms"]
    return [{**step, "crop_size": list(crop_wh)} if step["type"] == "RandomPaddingCrop" else step for step in steps]
