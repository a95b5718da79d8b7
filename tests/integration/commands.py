"""Running the commands as a user does, and a small project for them: data, configs of both modes, an earlier run."""

from __future__ import annotations

import copy
import hashlib
import logging
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

import dygraph.cli
import legacy.pdseg.cli
from dygraph.build import build_model
from legacy.pdseg.config import load_static_config
from shared.commands.run import run_command
from shared.config.eager import load_run_config
from shared.engine.checkpoint import Progress, save_checkpoint
from shared.engine.stepper import StepperState

ROOT = Path(__file__).resolve().parents[2]
MODES = ("eager", "static")
CLASSES = 3
SIZE_HW = (24, 32)

MAINS: Mapping[tuple[str, str], Callable[[Sequence[str]], None]] = {
    ("eager", "train"): dygraph.cli.train,
    ("eager", "val"): dygraph.cli.val,
    ("eager", "predict"): dygraph.cli.predict,
    ("eager", "export"): dygraph.cli.export,
    ("static", "train"): legacy.pdseg.cli.train,
    ("static", "val"): legacy.pdseg.cli.evaluate,
    ("static", "predict"): legacy.pdseg.cli.visualize,
    ("static", "export"): legacy.pdseg.cli.export_model,
    ("static", "check"): legacy.pdseg.cli.check,
}
CONFIG_FLAG = {"eager": "--config", "static": "--cfg"}
DROP = object()  #: as the value of an edit: take the key out

_ERROR = re.compile(r"^(?:\S+: )?error: ", re.MULTILINE)
_EAGER = {
    "batch_size": 2,
    "iters": 2,
    "train_dataset": {
        "type": "Dataset",
        "dataset_root": "",
        "train_path": "train.txt",
        "num_classes": CLASSES,
        "transforms": [{"type": "RandomPaddingCrop", "crop_size": [32, 32]}, {"type": "Normalize"}],
    },
    "val_dataset": {
        "type": "Dataset",
        "dataset_root": "",
        "val_path": "val.txt",
        "num_classes": CLASSES,
        "transforms": [{"type": "Padding", "target_size": [32, 32]}, {"type": "Normalize"}],
    },
    "model": {"type": "FCN", "backbone": {"type": "HRNet_W18_Small_V1"}},
    "optimizer": {"type": "sgd", "momentum": 0.9},
    "learning_rate": 0.01,
    "loss": {"types": [{"type": "CrossEntropyLoss"}], "coef": [1]},
}
_STATIC = {
    "TRAIN_CROP_SIZE": [32, 32],
    "EVAL_CROP_SIZE": [32, 32],
    "BATCH_SIZE": 2,
    "DATASET": {
        "DATA_DIR": "",
        "TRAIN_FILE_LIST": "train.txt",
        "VAL_FILE_LIST": "val.txt",
        "VIS_FILE_LIST": "val.txt",
        "NUM_CLASSES": CLASSES,
    },
    "AUG": {"AUG_METHOD": "stepscaling", "MIN_SCALE_FACTOR": 1.0, "MAX_SCALE_FACTOR": 1.0, "SCALE_STEP_SIZE": 0.0},
    "MODEL": {
        "MODEL_NAME": "hrnet",
        "HRNET": {
            "STAGE2": {"NUM_CHANNELS": [4, 8]},
            "STAGE3": {"NUM_CHANNELS": [4, 8, 16], "NUM_MODULES": 1},
            "STAGE4": {"NUM_CHANNELS": [4, 8, 16, 32], "NUM_MODULES": 1},
        },
    },
    "SOLVER": {"NUM_EPOCHS": 1, "LR": 0.01},
    "TRAIN": {"MODEL_SAVE_DIR": ""},
    "DATALOADER": {"NUM_WORKERS": 0},
}
_EAGER_ROOTS = ("train_dataset.dataset_root", "val_dataset.dataset_root")


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def message(self) -> str:
        """What stands after ``error: ``."""
        return _ERROR.split(self.err)[-1].strip()

    @property
    def errors(self) -> int:
        """How many messages begin with ``error: `` (a command's own) or ``train.py: error: `` (argparse's)."""
        return len(_ERROR.findall(self.err))


def invoke(mode: str, command: str, argv: Sequence[str], capsys: pytest.CaptureFixture[str]) -> Result:
    """Run a command in this process; logging and signal handlers are as before afterwards."""
    logger = logging.getLogger()
    level, handlers = logger.level, list(logger.handlers)
    logger.handlers = []  # so that setting up the console closes none of pytest's
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    capsys.readouterr()
    started = time.perf_counter()
    try:
        with pytest.raises(SystemExit) as ended:
            run_command(MAINS[mode, command], [str(word) for word in argv])
    finally:
        logger.handlers = handlers
        logger.setLevel(level)  # which also forgets what it has remembered of the other level
        for number, handler in before.items():
            signal.signal(number, handler)
    captured = capsys.readouterr()
    return Result(ended.value.code, captured.out, captured.err, time.perf_counter() - started)


def run_script(script: str, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> Result:
    """Run a command as a process of its own, from the checkout (``legacy/`` for its scripts)."""
    folder, name = (ROOT / "legacy", script[len("legacy/") :]) if script.startswith("legacy/") else (ROOT, script)
    started = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, name, *map(str, argv)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Result(ended.returncode, ended.stdout, ended.stderr, time.perf_counter() - started)


def snapshot(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Size, modification time and SHA-256 of every file below ``folder``; folders by their name alone."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file():
            status = path.stat()
            found[name] = (status.st_size, status.st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        else:
            found[name] = (0, 0, "folder")
    return found


class Project:
    """Six labelled images with their lists, and ``output`` with what an earlier run left there.

    Args:
        folder: an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.save_dir = folder / "output"
        self._write_data()
        self._write_earlier_run()

    def image(self, index: int) -> Path:
        """An image; 0 to 3 train, 4 and 5 validate."""
        return self.data / "images" / f"{index}.png"

    def label(self, index: int) -> Path:
        """The label of an image."""
        return self.data / "labels" / f"{index}.png"

    def relabel(self, index: int, change: Callable[[np.ndarray], np.ndarray]) -> Path:
        """Write a label anew."""
        path = self.label(index)
        cv2.imwrite(str(path), change(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)))
        return path

    def write_list(self, name: str, indices: Sequence[int]) -> Path:
        """A list file of these entries."""
        path = self.data / name
        path.write_text("".join(f"images/{i}.png labels/{i}.png\n" for i in indices), encoding="utf-8")
        return path

    def config(self, mode: str, edits: Mapping[str, Any] | None = None, name: str = "run.yml") -> Path:
        """The mode's config with some dotted keys changed."""
        tree = copy.deepcopy(_EAGER if mode == "eager" else _STATIC)
        if mode == "eager":
            own = dict.fromkeys(_EAGER_ROOTS, str(self.data)) | {"save_dir": str(self.save_dir)}
        else:
            own = {"DATASET.DATA_DIR": str(self.data), "TRAIN.MODEL_SAVE_DIR": str(self.save_dir)}
        for key, value in {**own, **(edits or {})}.items():
            _edit(tree, key.split("."), value)
        path = self.folder / name
        path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
        return path

    def checkpoint(self, mode: str, num_classes: int = CLASSES) -> Path:
        """A checkpoint of the mode's network, as training writes it before its first step."""
        classes = (
            ("train_dataset.num_classes", "val_dataset.num_classes") if mode == "eager" else ("DATASET.NUM_CLASSES",)
        )
        path = str(self.config(mode, dict.fromkeys(classes, num_classes), name="other.yml"))
        run = load_run_config(path) if mode == "eager" else load_static_config(path)
        network = build_model(run.model, num_classes=num_classes)
        state = StepperState({name: value.numpy() for name, value in network.state_dict().items()}, {})
        return save_checkpoint(self.folder / "other", state, Progress(1), mode=mode, config={}, keep_max=1)

    def _write_data(self) -> None:
        rng = np.random.default_rng(0)
        for kind in ("images", "labels"):
            (self.data / kind).mkdir(parents=True)
        for index in range(6):
            cv2.imwrite(str(self.image(index)), rng.integers(0, 256, (*SIZE_HW, 3), dtype=np.uint8))
            label = rng.integers(0, CLASSES, SIZE_HW, dtype=np.uint8)
            label[:2] = 255
            cv2.imwrite(str(self.label(index)), label)
        self.write_list("train.txt", range(4))
        self.write_list("val.txt", (4, 5))

    def _write_earlier_run(self) -> None:
        for name in ("iter_10/model.safetensors", "iter_10/state.json", "best_model/state.json"):
            (self.save_dir / name).parent.mkdir(parents=True, exist_ok=True)
            (self.save_dir / name).write_text(f"work of days: {name}", encoding="utf-8")
        for name in ("metrics.jsonl", "train.log", "metrics.json", "confusion.png", "model.json", "deploy.yaml"):
            (self.save_dir / name).write_text(f"work of days: {name}", encoding="utf-8")


def refused(
    project: Project,
    mode: str,
    command: str,
    argv: Sequence[object],
    capsys: pytest.CaptureFixture[str],
    *words: object,
    config: Path | None = None,
) -> Result:
    """Run a command that must end with exit code 2 and one message that holds all ``words``, and touch no file."""
    flags = [CONFIG_FLAG[mode], project.config(mode, name="run.yml") if config is None else config]
    before = snapshot(project.folder)
    result = invoke(mode, command, [*flags, *argv], capsys)
    assert result.code == 2, f"exit code {result.code}: {result.err}"
    assert result.errors == 1, result.err
    assert "Traceback" not in result.err
    for word in words:
        assert str(word) in result.message, f"{word!r} is not in {result.message!r}"
    assert snapshot(project.folder) == before
    return result


def _edit(tree: Any, parts: Sequence[str], value: Any) -> None:
    *parents, last = parts
    for part in parents:
        tree = tree[int(part)] if isinstance(tree, list) else tree.setdefault(part, {})
    key = int(last) if isinstance(tree, list) else last
    if value is DROP:
        del tree[key]
    else:
        tree[key] = value
