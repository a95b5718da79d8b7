"""Wrong images, labels, lists and checkpoints: one message with file, value and cure, and an untouched earlier run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.integration.commands import CONFIG_FLAG, DROP, MODES, Project, invoke, refused, snapshot

EAGER, STATIC = MODES


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project in the working directory."""
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Building a network fails the test: what follows must be found before."""

    def build(*_: object, **__: object) -> None:
        pytest.fail("a network was built before the error was found")

    for session in ("dygraph.engine.session", "legacy.pdseg.session"):
        monkeypatch.setattr(f"{session}.build_model", build)


def _remove_image(project: Project) -> None:
    project.image(2).unlink()


def _remove_two(project: Project) -> None:
    project.image(1).unlink()
    project.label(3).unlink()


def _cut_image(project: Project) -> None:
    data = project.image(2).read_bytes()
    project.image(2).write_bytes(data[: len(data) // 2])


def _cut_label(project: Project) -> None:
    data = project.label(2).read_bytes()
    project.label(2).write_bytes(data[: len(data) // 2])


def _text_for_image(project: Project) -> None:
    project.image(2).write_text("no picture", encoding="utf-8")


def _nothing_for_image(project: Project) -> None:
    project.image(2).write_bytes(b"")


def _shorter_label(project: Project) -> None:
    project.relabel(2, lambda label: label[:20])


def _swapped_label(project: Project) -> None:
    project.relabel(2, lambda label: np.ascontiguousarray(label.T))


def _value_200(project: Project) -> None:
    def change(label: np.ndarray) -> np.ndarray:
        label[:] = 0
        label[:6] = 200  # a quarter of the 24 rows
        return label

    project.relabel(2, change)


def _ids_from_1(project: Project) -> None:
    for index in range(6):
        project.relabel(index, lambda label: np.where(label == 255, 255, label + 1).astype(np.uint8))


def _colour_label(project: Project) -> None:
    project.relabel(2, lambda label: np.stack([label, label // 2, 255 - label], axis=-1))


def _wide_label(project: Project) -> None:
    project.relabel(2, lambda label: label.astype(np.uint16) * 256)


def _empty_list(project: Project) -> None:
    project.write_list("train.txt", ())


def _list_of_images(project: Project) -> None:
    (project.data / "train.txt").write_text("images/0.png\n", encoding="utf-8")


def _one_image(project: Project) -> None:
    project.write_list("train.txt", (0,))


def _no_list(project: Project) -> None:
    (project.data / "train.txt").unlink()


DATA = [
    (_no_list, ("'train.txt'", "data/train.txt")),
    (
        _remove_image,
        ("data/train.txt:3: image", "images/2.png does not exist", "the line is 'images/2.png labels/2.png'"),
    ),
    (_remove_two, ("2 problems", "data/train.txt:2: image", "data/train.txt:4: label")),
    (_empty_list, ("data/train.txt lists no image", "expected one 'image label' pair a line")),
    (_list_of_images, ("data/train.txt:1", "expected two columns", "'images/0.png'")),
    (_one_image, ("1 images, fewer than one batch of 2", "set the batch size to 1 or less, or add images")),
    (_cut_image, ("images/2.png", "cut off", "copy or download it again")),
    (_cut_label, ("labels/2.png", "cut off", "copy or download it again")),
    (_text_for_image, ("images/2.png", "is not an image", "save it as PNG or JPEG")),
    (_nothing_for_image, ("images/2.png", "the file is empty", "copy it again")),
    (_shorter_label, ("images/2.png", "labels/2.png", "height 24 x width 32", "height 20 x width 32")),
    (_swapped_label, ("labels/2.png", "height 32 x width 24", "height and width are swapped", "transpose")),
    (_value_200, ("labels/2.png", "200 (25 % of the pixels)", "expected 0 to 2", "ignore_index 255", "Is num_classes")),
    (_ids_from_1, ("4 problems", "labels/3.png", "label value 3", "count from 1: subtract 1 from every class id")),
    (_colour_label, ("labels/2.png", "3 channels", "expected one", "replace every colour by its class id")),
    (_wide_label, ("labels/2.png", "more than 8 bits", "save the label as an 8-bit PNG")),
]


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("mode", [EAGER, pytest.param(STATIC, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("spoil", "words"), DATA, ids=lambda value: getattr(value, "__name__", ""))
def test_error_data_of_the_training(project, capsys, mode, spoil, words):
    spoil(project)
    refused(project, mode, "train", (), capsys, *words)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("spoil", "words"),
    [case for case in DATA if case[0] is not _one_image],  # fewer images than a batch: no fault of a file
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_error_data_in_the_check_command(project, capsys, spoil, words):
    spoil(project)
    words = tuple("6 problems" if word == "4 problems" else word for word in words)  # it looks at both sets
    refused(project, STATIC, "check", (), capsys, *words)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("mode", MODES)
def test_error_mask_of_0_and_255(project, capsys, mode):
    for index in range(6):
        project.relabel(index, lambda label: ((label > 0) * 255).astype(np.uint8))
    keys = ("train_dataset.ignore_index", "val_dataset.ignore_index") if mode == EAGER else ("DATASET.IGNORE_INDEX",)
    config = project.config(mode, dict.fromkeys(keys, 254))
    words = ("labels/0.png", "label value 255", "ignore_index 254", "a mask of 0 and 255: replace 255 by 1")
    refused(project, mode, "train", (), capsys, *words, config=config)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ({"image_dir": "empty", "label_dir": "labels"}, ("image_dir holds no image", "data/empty is empty")),
        ({"image_dir": "imgs", "label_dir": "labels"}, ("data/imgs does not exist", "images, labels")),
        ({"image_dir": "images"}, ("image_dir is 'images' and label_dir is None", "needs both")),
        ({"dataset_root": "/nowhere/at/all"}, ("dataset_root /nowhere/at/all", "/nowhere does not exist")),
    ],
)
def test_error_folders(project, capsys, edits, words):
    (project.data / "empty").mkdir()
    path = {} if "dataset_root" in edits else {"train_dataset.train_path": DROP}
    config = project.config(EAGER, {**path, **{f"train_dataset.{key}": value for key, value in edits.items()}})
    refused(project, EAGER, "train", (), capsys, *words, config=config)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("mode", "command", "argv"),
    [
        (EAGER, "train", ["--do_eval"]),
        (STATIC, "train", ["--do_eval"]),
        (EAGER, "val", ["--model_path", "nowhere"]),
        (STATIC, "val", ["--model_path", "nowhere"]),
        (STATIC, "check", []),
    ],
)
def test_error_empty_validation_list(project, capsys, mode, command, argv):
    project.write_list("val.txt", ())
    refused(project, mode, command, argv, capsys, "data/val.txt lists no image", "'image label' pair a line")


def _for_both(project: Project, edits: dict[str, Any]) -> Path:
    """A file of ``configs/``, which both modes read."""
    return project.config(EAGER, edits)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("mode", MODES)
def test_error_images_of_different_sizes_in_a_batch(project, capsys, mode):
    for index in (1, 3):
        cv2.imwrite(str(project.image(index)), np.zeros((40, 48, 3), np.uint8))
        cv2.imwrite(str(project.label(index)), np.zeros((40, 48), np.uint8))
    edits = {"train_dataset.transforms": [{"type": "Normalize"}], "batch_size": 4}
    words = ("height 24 x width 32", "height 40 x width 48", "add a crop, padding or resize", "set the batch size to 1")
    refused(project, mode, "train", (), capsys, *words, config=_for_both(project, edits))


def _is_kept(project: Project, before: dict[str, tuple[int, int, str]]) -> bool:
    """Whether an earlier run's files are all there, in place or moved aside, byte for byte."""
    kept = {entry[2] for entry in snapshot(project.save_dir).values()}
    return all(entry[2] in kept for entry in before.values())


LOSSES = {"loss.types": [{"type": "CrossEntropyLoss"}, {"type": "CrossEntropyLoss"}], "loss.coef": [1, 0.4]}
HEADS = ("loss.types", "2 loss(es)", "1 map(s) of logits", "1. head [2, 3, 32, 32]", "name one loss per map")


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(("mode", "command"), [(EAGER, "train"), (STATIC, "train"), (STATIC, "check")])
def test_error_more_losses_than_maps_of_logits(project, capsys, mode, command):
    words = ("the config has a problem", *HEADS)
    refused(project, mode, command, (), capsys, *words, config=_for_both(project, LOSSES))


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("mode", MODES)
def test_error_losses_and_data_stand_in_one_report(project, capsys, mode):
    _cut_image(project)
    words = ("2 problems in the data set and the config", "images/2.png", "cut off", *HEADS)
    refused(project, mode, "train", (), capsys, *words, config=_for_both(project, LOSSES))


@pytest.mark.parametrize("mode", MODES)
def test_error_loss_that_is_no_number(project, capsys, mode):
    decay = {"optimizer.weight_decay": 1.0} if mode == EAGER else {"SOLVER.WEIGHT_DECAY": 1.0}
    length = (
        ["--iters", 8, "--learning_rate", "1e30"] if mode == EAGER else ["SOLVER.NUM_EPOCHS", 4, "SOLVER.LR", "1e30"]
    )
    before = snapshot(project.save_dir)
    ended = invoke(mode, "train", [CONFIG_FLAG[mode], project.config(mode, decay), "--seed", 1, *length], capsys)
    assert (ended.code, ended.errors) == (1, 1)
    for word in ("the loss is", "at iteration", "data/images/", ".png", "lower the learning rate"):
        assert word in ended.message
    assert re.search(r"lr [0-9.]+e\+(29|30);", ended.message)
    assert _is_kept(project, before)


SHAPES = ("num_classes is 5 in the file and 3 in the config", "set num_classes to 5", "[5]", "[3]")


@pytest.mark.parametrize("mode", MODES)
def test_error_checkpoint_of_another_number_of_classes(project, capsys, mode):
    path = project.checkpoint(mode, num_classes=5)
    refused(project, mode, "val", ["--model_path", path, "--save_dir", project.save_dir], capsys, path, *SHAPES)
    if mode == EAGER:
        refused(project, mode, "train", ["--resume_model", path], capsys, f"cannot resume from {path}", *SHAPES)
    else:
        words = (f"cannot resume from {path}", *SHAPES)
        refused(project, mode, "train", ["TRAIN.RESUME_MODEL_DIR", path], capsys, *words)


@pytest.mark.parametrize("mode", MODES)
def test_error_damaged_checkpoint(project, capsys, mode):
    path = project.checkpoint(mode)
    weights = path / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    words = (weights, "is damaged", "SHA-256", "use another one")
    refused(project, mode, "val", ["--model_path", path, "--save_dir", project.save_dir], capsys, *words)
    resume = "--resume_model" if mode == EAGER else "TRAIN.RESUME_MODEL_DIR"
    refused(project, mode, "train", [resume, path], capsys, *words)
    refused(project, mode, "train", [resume, path.parent], capsys, path.parent, "no undamaged checkpoint")


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("w.safetensors", "copy or download it again"),
        ("w.pdparams", "not a Paddle weights file"),
        ("w.tar.gz", "w.tar.gz"),
        ("w.bin", "expected one of .safetensors, .pdparams"),
    ],
)
def test_error_weights_that_are_a_random_file(project, capsys, mode, name, says):
    path = project.folder / name
    path.write_bytes(np.random.default_rng(1).bytes(999))
    argv = ["--model_path", path, "--save_dir", project.save_dir]
    refused(project, mode, "val", argv, capsys, path, says)
    refused(project, mode, "export", argv, capsys, path, says)


@pytest.mark.parametrize(("kind", "workers"), [("inline", 0), ("thread", 1), ("process", 1)])
def test_error_bad_file_that_the_sample_before_the_run_missed(project, capsys, kind, workers):
    sampled = {round(40 * i / 15) for i in range(16)} | {int(40 * i / 15) for i in range(16)}
    bad = next(index for index in range(20, 41) if index not in sampled)
    lines = ["images/0.png labels/0.png\n"] * 41
    lines[bad] = "images/2.png labels/2.png\n"
    (project.data / "train.txt").write_text("".join(lines), encoding="utf-8")
    _value_200(project)
    config = project.config(EAGER, {"reader": {"kind": kind}, "num_workers": workers, "batch_size": 1, "iters": 41})
    before = snapshot(project.save_dir)
    ended = invoke(EAGER, "train", [CONFIG_FLAG[EAGER], config, "--seed", 4], capsys)
    assert (ended.code, ended.errors) == (2, 1)
    assert "Traceback" not in ended.err
    for word in ("labels/2.png", "200 (25 % of the pixels)", "expected 0 to 2"):
        assert word in ended.message
    assert len(list(project.save_dir.glob("iter_*/state.json"))) == 1  # the work so far
    assert _is_kept(project, before)
