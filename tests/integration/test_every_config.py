"""Every file of ``configs/`` trains two iterations and evaluates, in both modes, on a tiny data set of its own kind.

Only what makes it tiny differs from the file: folders, crop and resize sizes, batch and length. Both runs log the same
losses and the same metrics.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

import dygraph.build  # noqa: F401 - fills the registries the configs are checked against
from scripts.street_scenes import write_street_scenes
from shared.config.eager import load_run_config
from shared.config.run_config import RunConfig
from tests.integration.conftest import SEEDED, records

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted(p for p in (ROOT / "configs").rglob("*.yml") if p.parent.name != "_base_")
IMAGE_HW = (65, 97)
SIZES = {  # (width, height) as configs write it
    "RandomPaddingCrop": ("crop_size", [64, 64]),
    "Padding": ("target_size", [105, 73]),
    "Resize": ("target_size", [64, 64]),
}


def _configs() -> list:
    """Every config; for CI the lightest of each network, and the lightest of each data set."""
    own: dict[str, Path] = {}
    for path in sorted(CONFIGS, key=lambda p: (_depth(p), p)):
        own.setdefault(path.parent.name, path)
        own.setdefault(_data_set(path), path)
    return [pytest.param(p, id=p.stem, marks=() if p in own.values() else pytest.mark.repeats) for p in CONFIGS]


def _data_set(path: Path) -> str:
    return load_run_config(str(path)).train_data.dataset.type


def _depth(path: Path) -> int:
    found = re.search(r"(?:resnet|hrnetw)(\d+)", path.stem)
    return int(found.group(1)) if found else 0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each type of data set that a config names."""
    writers = {"Cityscapes": _write_cityscapes, "PascalVOC": _write_voc, "Dataset": _write_lists}
    writers["OpticDiscSeg"] = _write_optic_disc
    folders = {name: tmp_path_factory.mktemp(name) for name in writers}
    for name, write in writers.items():
        write(folders[name])
    return folders


def _write_cityscapes(root: Path) -> None:
    write_street_scenes(root, 4, 1, IMAGE_HW, seed=3)


def _write_pair(image: Path, label: Path, classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for path in (image, label):
        path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(image), rng.integers(0, 256, (*IMAGE_HW, 3), np.uint8))
    blocks = rng.integers(0, classes, (9, 13), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    cv2.imwrite(str(label), blocks[: IMAGE_HW[0], : IMAGE_HW[1]])


def _write_voc(root: Path) -> None:
    voc = root / "VOC2012"
    lists = {"train": ("SegmentationClass", range(2)), "aug": ("SegmentationClassAug", range(2, 4))}
    lists["val"] = ("SegmentationClass", range(4, 5))
    for split, (labels, numbers) in lists.items():
        for number in numbers:
            _write_pair(voc / f"JPEGImages/{number}.jpg", voc / f"{labels}/{number}.png", 21, number)
        file = voc / f"ImageSets/Segmentation/{split}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{number}\n" for number in numbers))


def _write_lists(root: Path, names: tuple[str, ...] = ("train.txt", "val.txt")) -> None:
    for name, numbers in zip(names, (range(4), range(4, 5))):
        for number in numbers:
            _write_pair(root / f"images/{number}.png", root / f"labels/{number}.png", 2, number)
        (root / name).write_text("".join(f"images/{n}.png labels/{n}.png\n" for n in numbers))


def _write_optic_disc(root: Path) -> None:
    _write_lists(root, ("train_list.txt", "val_list.txt"))


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    """Where the runs write; emptied at once, for all checkpoints together are larger than a disk may be."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def _tiny(run: RunConfig, root: Path) -> dict[str, object]:
    """What is replaced, by dotted key."""
    changes: dict[str, object] = {"iters": 2, "batch_size": 2}
    for key, part in (("train_dataset", run.train_data), ("val_dataset", run.val_data)):
        changes[f"{key}.dataset_root"] = str(root)
        for index, transform in enumerate(part.transforms):
            if transform.type in SIZES:
                argument, size = SIZES[transform.type]
                changes[f"{key}.transforms.{index}.{argument}"] = size
    if "pretrained" in getattr(run.model.args.get("backbone"), "args", {}):
        changes["model.backbone.pretrained"] = None
    return changes


def _run(script: str, *arguments: object) -> None:
    """A command in a process of its own: what Paddle keeps of seventy networks would not fit into one."""
    command = [sys.executable, str(ROOT / script), *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def _value(value: object) -> str:
    return "null" if value is None else json.dumps(value) if isinstance(value, list) else str(value)


@pytest.mark.parametrize("path", _configs())
def test_parity_trains_and_evaluates(path: Path, data: dict[str, Path], out: Path) -> None:
    run = load_run_config(str(path))
    changes = _tiny(run, data[run.train_data.dataset.type])
    words = [f"{key}={_value(value)}" for key, value in changes.items()]
    flags = ("--do_eval", *SEEDED)
    _run("dygraph/train.py", "--config", path, *flags, "--log_iters", 1, "--save_dir", out / "eager", "--opts", *words)
    pairs = [word for key, value in changes.items() for word in (key, _value(value))]
    _run("legacy/pdseg/train.py", "--cfg", path, *flags, "--log_steps", 1, *pairs, "save_dir", out / "static")

    logged = {mode: records(out / mode) for mode in ("eager", "static")}
    losses = {mode: [(line["loss"], line["terms"]) for line in lines] for mode, lines in logged.items()}
    assert len(losses["eager"]) == 2
    assert np.isfinite([loss for loss, _ in losses["eager"]]).all()
    assert losses["eager"] == losses["static"]
    scores = {mode: [line["miou"] for line in records(out / mode, "eval")] for mode in ("eager", "static")}
    assert len(scores["eager"]) == 1
    assert scores["eager"] == scores["static"]
