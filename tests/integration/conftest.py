"""A small data set of street scenes, the configs of both modes over it, and commands run inside this process."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from sklearn.metrics import jaccard_score

from scripts.street_scenes import write_street_scenes
from shared.commands.run import run_command
from shared.config.run_config import RunConfig
from shared.weights.safetensors_file import load_arrays, save_arrays

NUM_CLASSES = 19
TRAIN_IMAGES, VAL_IMAGES = 8, 4
SIZE_HW = (64, 96)
SEEDED = ("--seed", "5", "--deterministic")

NORMALIZE = {"type": "Normalize"}
BACKBONE = {  # the smallest HRNet: one block and one module wherever there may be more
    "type": "HRNet",
    **{f"stage{n}_num_blocks": [1] * n for n in (1, 2, 3, 4)},
    **{f"stage{n}_num_channels": [4 * 2**i for i in range(n)] for n in (1, 2, 3, 4)},
    **{f"stage{n}_num_modules": 1 for n in (2, 3, 4)},
}
MODEL = {"type": "FCN", "backbone": BACKBONE, "num_classes": NUM_CLASSES}
EAGER = {
    "batch_size": 2,
    "iters": 2,
    "model": MODEL,
    "optimizer": {"type": "sgd", "momentum": 0.9, "weight_decay": 4.0e-5},
    "lr_scheduler": {"type": "PolynomialDecay", "learning_rate": 0.01, "end_lr": 0.001, "power": 0.9},
    "loss": {"types": [{"type": "CrossEntropyLoss"}], "coef": [1]},
}
AUGMENTATION = [
    {"type": "ResizeStepScaling", "min_scale_factor": 0.75, "max_scale_factor": 1.25, "scale_step_size": 0.25},
    {"type": "RandomPaddingCrop", "crop_size": [64, 48]},
    {"type": "RandomHorizontalFlip"},
    {"type": "RandomDistort", "brightness_range": 0.4},
    NORMALIZE,
]
STATIC = {
    "TRAIN_CROP_SIZE": [64, 48],
    "EVAL_CROP_SIZE": [96, 64],
    "BATCH_SIZE": 2,
    "DATASET": {"NUM_CLASSES": NUM_CLASSES},
    "AUG": {"AUG_METHOD": "stepscaling", "MIN_SCALE_FACTOR": 0.75, "MAX_SCALE_FACTOR": 1.25, "TO_RGB": True},
    "MODEL": {
        "MODEL_NAME": "deeplabv3p",
        "DEEPLAB": {"BACKBONE": "resnet_vd_18", "ENCODER": {"ASPP_CONVS_FILTERS": 16}},
    },
    "SOLVER": {"LR": 0.01, "NUM_EPOCHS": 1},
    "TRAIN": {"SNAPSHOT_EPOCH": 1},
    "DATALOADER": {"NUM_WORKERS": 0},
}


@dataclass(frozen=True)
class Finished:
    """How a command ended: its exit code, what it wrote to stdout and stderr, and its log lines."""

    code: int
    out: str
    err: str
    log: str


@dataclass(frozen=True)
class Trained:
    """A run that was trained once for many tests: its folder, and the command's end."""

    save_dir: Path
    finished: Finished


def records(save_dir: Path, kind: str = "train") -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl`` of one kind."""
    lines = [json.loads(line) for line in (save_dir / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


def checkpoints(save_dir: Path) -> list[str]:
    """Names of the ``iter_*`` folders, by iteration."""
    return sorted((p.name for p in save_dir.glob("iter_*")), key=lambda name: int(name[5:]))


def arrays_of(checkpoint: Path) -> dict[str, np.ndarray]:
    """Every array a checkpoint holds, weights and optimiser, by file and name."""
    return {
        f"{file}:{name}": value
        for file in ("model.safetensors", "optimizer.safetensors")
        for name, value in load_arrays(checkpoint / file).items()
    }


def pairs(scenes: Path) -> list[tuple[Path, Path]]:
    """(image, label) of every line of the validation list."""
    return [
        (scenes / image, scenes / label)
        for image, label in (line.split() for line in (scenes / "val.txt").read_text().splitlines())
    ]


def ids_of(path: Path) -> np.ndarray:
    """The pixel values of a palette or grey PNG."""
    return np.asarray(Image.open(path))


def normalised(path: Path) -> np.ndarray:
    """``[1, 3, H, W]`` float32 RGB in -1..1, without the project's own reader."""
    image = np.asarray(Image.open(path).convert("RGB"), np.float32)
    return ((image / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None].astype(np.float32)


def iou_of(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """scikit-learn's IoU of every class, ``[K]``; nan where a class is in neither."""
    found = jaccard_score(labels, predictions, labels=range(NUM_CLASSES), average=None, zero_division=0)
    return np.where(np.isin(range(NUM_CLASSES), np.union1d(labels, predictions)), found, np.nan)


def undecided(run: RunConfig, trained: Path, scenes: Path, target: Path) -> Path:
    """Write weights for ``run`` whose predictions hold many classes: noise with the last bias centred.

    A network of a few steps gives one class everywhere, and nothing a flag does would show in its argmax.

    Args:
        trained: weights of this network, for names and shapes.
        target: the ``.safetensors`` file.
    """
    from dygraph.engine.session import make_predictor

    rng = np.random.default_rng(0)
    arrays = load_arrays(trained)
    for name, value in arrays.items():
        if value.ndim == 4:
            fan_in = np.prod(value.shape[1:])
            arrays[name] = (rng.standard_normal(value.shape) * np.sqrt(2 / fan_in)).astype(np.float32)
        else:
            scale = name.endswith("._variance") or (name.endswith(".weight") and value.ndim == 1)
            arrays[name] = np.full_like(value, 1 if scale else 0)
    save_arrays(target, arrays)
    logits = make_predictor(run, str(target), False).logits
    mean = np.mean([logits(normalised(image)).mean(axis=(0, 2, 3)) for image, _ in pairs(scenes)], axis=0)
    bias = [name for name, value in arrays.items() if name.endswith(".bias") and value.shape == (NUM_CLASSES,)][-1]
    save_arrays(target, {**arrays, bias: -mean.astype(np.float32)})
    return target


def unequal(one: Path, other: Path) -> list[str]:
    """Names of the arrays in which two checkpoints are not the same bits."""
    a, b = arrays_of(one), arrays_of(other)
    assert sorted(a) == sorted(b)
    assert any(name.startswith("optimizer") for name in a)
    return [name for name in a if a[name].dtype != b[name].dtype or a[name].tobytes() != b[name].tobytes()]


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 + 4 street scenes of 96x64 pixels."""
    out = tmp_path_factory.mktemp("scenes")
    write_street_scenes(out, TRAIN_IMAGES, VAL_IMAGES, SIZE_HW, seed=3)
    return out


@pytest.fixture(scope="session")
def write_eager(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Writes an eager YAML; keywords replace its top-level keys."""

    def write(**changes: Any) -> str:
        data = {"type": "Cityscapes", "dataset_root": str(scenes)}
        config = {
            **EAGER,
            "train_dataset": {**data, "mode": "train", "transforms": AUGMENTATION},
            "val_dataset": {**data, "mode": "val", "transforms": [NORMALIZE]},
            **changes,
        }
        path = tmp_path_factory.mktemp("eager") / "run.yml"
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        return str(path)

    return write


@pytest.fixture(scope="session")
def eager_yaml(write_eager: Callable[..., str]) -> str:
    """The eager config."""
    return write_eager()


@pytest.fixture(scope="session")
def static_yaml(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The yacs config; its network is DeepLabV3+ on ResNet18."""
    config = {**STATIC, "DATASET": {**STATIC["DATASET"], "DATA_DIR": str(scenes)}}
    path = tmp_path_factory.mktemp("static") / "run.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return str(path)


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.getMessage()}")


def finish(main: Callable[[Sequence[str]], None], *arguments: object) -> Finished:
    """Run a command in this process, as ``shared.commands.run.run_command`` ends it."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    lines, out, err = _Lines(), io.StringIO(), io.StringIO()

    def with_log(argv: Sequence[str]) -> None:
        root.addHandler(lines)  # after the console was set up, which takes other handlers away
        main(argv)

    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
            run_command(with_log, [str(argument) for argument in arguments])
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    return Finished(ended.value.code, out.getvalue(), err.getvalue(), "\n".join(lines.lines))


def succeed(main: Callable[[Sequence[str]], None], *arguments: object) -> Finished:
    """As :func:`finish`, and the command must end well."""
    ended = finish(main, *arguments)
    assert ended.code == 0, f"{ended.err}\n{ended.log}"
    return ended


@pytest.fixture(scope="session")
def eager_run(eager_yaml: str, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Four seeded iterations of the eager config, evaluated after two and after four."""
    from dygraph import cli

    out = tmp_path_factory.mktemp("eager_run")
    flags = ("--iters", 4, "--save_interval", 2, "--log_iters", 1, "--do_eval", "--save_dir", out, *SEEDED)
    return Trained(out, succeed(cli.train, "--config", eager_yaml, *flags))


@pytest.fixture(scope="session")
def static_run(static_yaml: str, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """One seeded epoch (four iterations) of the yacs config, evaluated at its end."""
    from legacy.pdseg import cli

    out = tmp_path_factory.mktemp("static_run")
    words = ("--log_steps", 1, "--do_eval", *SEEDED, "TRAIN.MODEL_SAVE_DIR", out)
    return Trained(out, succeed(cli.train, "--cfg", static_yaml, *words))


@pytest.fixture(scope="session")
def eager_weights(eager_run: Trained, eager_yaml: str, scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights for the eager config whose predictions hold many classes."""
    from shared.config.eager import load_run_config

    trained = eager_run.save_dir / "iter_4" / "model.safetensors"
    target = tmp_path_factory.mktemp("weights") / "eager.safetensors"
    return undecided(load_run_config(eager_yaml), trained, scenes, target)


@pytest.fixture(scope="session")
def static_weights(
    static_run: Trained, static_yaml: str, scenes: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Weights for the yacs config whose predictions hold many classes."""
    from legacy.pdseg.config import load_static_config

    trained = static_run.save_dir / "iter_4" / "model.safetensors"
    target = tmp_path_factory.mktemp("weights") / "static.safetensors"
    return undecided(load_static_config(static_yaml), trained, scenes, target)
