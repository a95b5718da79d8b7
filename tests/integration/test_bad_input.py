"""Wrong configs, flags and machines: every command says what is wrong, ends with exit code 2 and touches no file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.integration.commands import CONFIG_FLAG, DROP, MAINS, MODES, Project, invoke, refused, run_script

EAGER, STATIC = MODES
COMMANDS = sorted(MAINS)
#: What each command needs besides its config.
NEEDED = {
    (EAGER, "val"): ("--model_path", "nowhere"),
    (EAGER, "predict"): ("--model_path", "nowhere", "--image_path", "data"),
    (EAGER, "export"): ("--model_path", "nowhere"),
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project in the working directory; building a network fails the test, for bad input must be found before."""

    def build(*_: object, **__: object) -> None:
        pytest.fail("a network was built before the error was found")

    for session in ("dygraph.engine.session", "legacy.pdseg.session"):
        monkeypatch.setattr(f"{session}.build_model", build)
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


def _write_directory(path: Path) -> None:
    path.mkdir()


def _write_prose(path: Path) -> None:
    path.write_text("Dear reader,\n\tthis: is: no [YAML", encoding="utf-8")


def _write_list(path: Path) -> None:
    path.write_text("- batch_size\n- iters\n", encoding="utf-8")


def _write_bytes(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\xff\xfe")


def _write_nothing(_: Path) -> None:
    pass


@pytest.mark.parametrize(("mode", "command"), COMMANDS)
@pytest.mark.parametrize(
    ("write", "says"),
    [
        (_write_nothing, "cannot read the config file: No such file"),
        (_write_directory, "cannot read the config file: Is a directory"),
        (_write_prose, "line 2, column"),
        (_write_list, "expected 'key: value' lines"),
        (_write_bytes, "save it as UTF-8"),
    ],
)
def test_error_unreadable_config(project, capsys, mode, command, write, says):
    path = project.folder / "mine.yml"
    write(path)
    refused(project, mode, command, NEEDED.get((mode, command), ()), capsys, path, says, config=path)


@pytest.mark.parametrize("content", ["", "# nothing yet\n", "{}\n"])
def test_error_empty_config(project, capsys, content):
    path = project.folder / "mine.yml"
    path.write_text(content, encoding="utf-8")
    missing = ("model: missing", "optimizer: missing", "loss: missing", "iters: missing", "lr_scheduler: missing")
    refused(project, EAGER, "train", (), capsys, path, *missing, config=path)
    refused(project, STATIC, "train", (), capsys, path, "the file has no keys; expected a run", config=path)


@pytest.mark.parametrize(("mode", "command"), COMMANDS)
def test_error_unknown_key_names_the_closest_one(project, capsys, mode, command):
    wrong, right = ("bach_size", "batch_size") if mode == EAGER else ("BACH_SIZE", "BATCH_SIZE")
    config = project.config(mode, {wrong: 2})
    refused(project, mode, command, NEEDED.get((mode, command), ()), capsys, config, wrong, right, config=config)


CONFIGS: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    (EAGER, {"model.type": "FNC"}, ("model.type", "'FNC'", "did you mean 'FCN'")),
    (STATIC, {"MODEL.MODEL_NAME": "hrnett"}, ("MODEL.MODEL_NAME", "'hrnett'", "hrnet, deeplabv3p")),
    (EAGER, {"model.backbone.type": "HRNet_W19"}, ("model.backbone.type", "'HRNet_W19'", "did you mean 'HRNet_W18'")),
    (
        STATIC,
        {"MODEL.MODEL_NAME": "deeplabv3p", "MODEL.DEEPLAB.BACKBONE": "resnet_vd_51"},
        ("MODEL.DEEPLAB.BACKBONE", "'resnet_vd_51'", "resnet_vd_50"),
    ),
    (
        EAGER,
        {"train_dataset.transforms.0.type": "RandomPadingCrop"},
        ("train_dataset.transforms.0.type", "'RandomPadingCrop'", "did you mean 'RandomPaddingCrop'"),
    ),
    (STATIC, {"AUG.AUG_METHOD": "stepscalling"}, ("AUG.AUG_METHOD", "'stepscalling'", "stepscaling")),
    (EAGER, {"loss.types.0.type": "CrossEntropy"}, ("loss.types.0.type", "did you mean 'CrossEntropyLoss'")),
    (STATIC, {"SOLVER.LOSS": ["softmax"]}, ("SOLVER.LOSS", "'softmax'", "softmax_loss, dice_loss")),
    (EAGER, {"val_dataset.type": "CityScape"}, ("val_dataset.type", "did you mean 'Cityscapes'")),
    (EAGER, {"optimizer.type": "sdg"}, ("optimizer.type", "'sdg'", "sgd, momentum, adam, adamw")),
    (STATIC, {"SOLVER.OPTIMIZER": "sdg"}, ("SOLVER.OPTIMIZER", "'sdg'", "sgd, adam, adamw")),
    (EAGER, {"model.backbone_indicies": [-1]}, ("model.backbone_indicies", "did you mean 'backbone_indices'")),
    (EAGER, {"val_dataset.transforms.1.men": [0.5]}, ("val_dataset.transforms.1.men", "did you mean 'mean'")),
    (EAGER, {"train_dataset.transforms.0.crop_size": [0, 32]}, ("train_dataset.transforms.0", "[0, 32]", ">= 1")),
    (EAGER, {"iters": "many"}, ("iters", "an integer", "'many'")),
    (STATIC, {"SOLVER.NUM_EPOCHS": "many"}, ("SOLVER.NUM_EPOCHS", "'many'", "expected int")),
    (EAGER, {"train_dataset.num_classes": "3"}, ("num_classes", "the text '3'", "write 3 without quotes")),
    (STATIC, {"TRAIN_CROP_SIZE": 32}, ("TRAIN_CROP_SIZE", "32", "(width, height) in pixels")),
    (EAGER, {"model.num_classes": 5}, ("num_classes", "is 3", "is 5", "make them agree")),
    (STATIC, {"MODEL": "hrnet"}, ("MODEL", "'hrnet'", "expected a section")),
    (EAGER, {"_base_": "nowhere.yml"}, ("nowhere.yml", "No such file", "_base_ of run.yml")),
    (STATIC, {"_base_": "nowhere.yml"}, ("nowhere.yml", "No such file", "_base_ of run.yml")),
    (EAGER, {"_base_": "run.yml"}, ("_base_", "inherits from itself", "run.yml -> run.yml")),
    (STATIC, {"_base_": "run.yml"}, ("_base_", "inherits from itself", "run.yml -> run.yml")),
    (STATIC, {"MODEL.MULTI_LOSS_WEIGHT": [1.0, 0.4]}, ("MODEL.MULTI_LOSS_WEIGHT", "[1.0, 0.4]", "expected 1 value")),
    (EAGER, {"onednn": "yes"}, ("onednn", "true or false or null", "'yes'")),
    (EAGER, {"onednn": True, "data_format": "NHWC"}, ("onednn", "got true", "data_format: NHWC", "set it to false")),
    (EAGER, {"train_dataset": DROP}, ("train_dataset", "missing", "add the section")),
    (STATIC, {"DATASET.TRAIN_FILE_LIST": ""}, ("missing", "set DATASET.TRAIN_FILE_LIST")),
]


@pytest.mark.parametrize(("mode", "edits", "words"), CONFIGS, ids=lambda value: next(iter(value), ""))
def test_error_wrong_values_in_the_config(project, capsys, mode, edits, words):
    refused(project, mode, "train", (), capsys, *words, config=project.config(mode, edits))


def test_error_findings_of_the_config_are_reported_together(project, capsys):
    edits = {"iters": 0, "model.type": "FNC", "optimizer.momentun": 1, "bach_size": 3}
    words = (
        "4 config errors",
        "\n  - iters: ",
        "\n  - model.type: ",
        "\n  - optimizer.momentun: ",
        "\n  - bach_size: ",
    )
    refused(project, EAGER, "train", (), capsys, *words, config=project.config(EAGER, edits))
    edits = {"SOLVER.LR": -1, "BACH_SIZE": 3, "SOLVER.OPTIMIZER": "sdg"}
    words = ("3 config errors", "\n  - SOLVER.LR: ", "\n  - BACH_SIZE: ", "\n  - SOLVER.OPTIMIZER: ")
    refused(project, STATIC, "train", (), capsys, *words, config=project.config(STATIC, edits))


FLAGS: list[tuple[str, str, str, tuple[str, ...]]] = [
    (EAGER, "train", "--iters 0", ("iters", "1 or more", "got 0", "[command line]")),
    (EAGER, "train", "--epochs 0", ("epochs", "1 or more", "got 0")),
    (EAGER, "train", "--iters 5 --epochs 1", ("epochs", "iters", "keep one of the two")),
    (EAGER, "train", "--batch_size 0", ("batch_size", "1 or more", "got 0")),
    (EAGER, "train", "--learning_rate -0.1", ("learning_rate", "more than 0", "got -0.1")),
    (EAGER, "train", "--learning_rate nan", ("learning_rate", "a number", "got nan")),
    (EAGER, "train", "--save_interval 0", ("save_interval", "1 or more", "got 0")),
    (EAGER, "train", "--log_iters 0", ("log_iters", "1 or more", "got 0")),
    (EAGER, "train", "--num_workers -1", ("num_workers", "0 or more", "got -1")),
    (EAGER, "train", "--keep_checkpoint_max -1", ("keep_checkpoint_max", "0 or more", "got -1")),
    (EAGER, "train", "--seed -1", ("seed", "0 or more", "got -1")),
    (EAGER, "train", "--iters ten", ("--iters", "'ten'")),
    (EAGER, "train", "--itters 5", ("--itters 5",)),
    (EAGER, "train", "--data_format NCWH", ("--data_format", "'NCWH'", "NCHW")),
    (EAGER, "train", "--device gpu", ("a GPU was asked for", "leave the flag away")),
    (EAGER, "train", "--opts model.num_classes", ("model.num_classes", "dotted.key=value")),
    (EAGER, "train", "--opts modell.num_classes=3", ("modell", "did you mean 'model'", "[command line]")),
    (EAGER, "train", "--opts iters=[1", ("iters", "'[1'", "cannot be read as YAML")),
    (EAGER, "train", "--opts train_dataset.transforms.7.prob=1", ("has 2 entries", "from 0 to 1", "got 7")),
    (EAGER, "train", "--resume_model nowhere", ("nowhere", "no such folder", "iter_10")),
    (
        EAGER,
        "train",
        "--save_dir data/train.txt/x",
        ("data/train.txt/x", "not a writable directory", "another directory"),
    ),
    (STATIC, "train", "--log_steps 0", ("--log_steps", "got 0", "1 or more")),
    (STATIC, "train", "--seed -1", ("--seed", "got -1", "0 or more")),
    (STATIC, "train", "--use_gpu", ("a GPU was asked for", "leave the flag away")),
    (STATIC, "train", "BATCH_SIZE 2 SOLVER.LR", ("SOLVER.LR", "has no value", "KEY VALUE pairs")),
    (STATIC, "train", "BATCH_SIZE=2", ("'BATCH_SIZE=2'", "separate key and value by a blank: BATCH_SIZE 2")),
    (STATIC, "train", "SOLVER.RL 2", ("SOLVER.RL", "did you mean SOLVER.LR")),
    (STATIC, "train", "BATCH_SIZE 0", ("BATCH_SIZE", "got 0", "at least 1")),
    (STATIC, "train", "SOLVER.LR -0.1", ("SOLVER.LR", "got -0.1", "above 0")),
    (STATIC, "train", "SOLVER.NUM_EPOCHS 0", ("SOLVER.NUM_EPOCHS", "got 0", "at least 1")),
    (STATIC, "train", "TRAIN.SNAPSHOT_EPOCH 0", ("TRAIN.SNAPSHOT_EPOCH", "got 0", "at least 1")),
    (STATIC, "train", "DATALOADER.NUM_WORKERS -1", ("DATALOADER.NUM_WORKERS", "got -1", "at least 0")),
    (STATIC, "train", "TRAIN.RESUME_MODEL_DIR nowhere", ("nowhere", "no such folder", "iter_10")),
    (STATIC, "train", "TRAIN.MODEL_SAVE_DIR data/train.txt/x", ("data/train.txt/x", "not a writable directory")),
    (EAGER, "val", "--aug_eval --scales 0", ("scales", "positive numbers", "[0.0]")),
    (EAGER, "val", "--scales 0.5 1.0", ("--scales: has no effect without --aug_eval",)),
    (EAGER, "val", "--flip_horizontal", ("--flip_horizontal: has no effect without --aug_eval",)),
    (EAGER, "val", "--crop_size 32 32 --stride 8 8", ("--crop_size: has no effect without --is_slide", "--stride")),
    (EAGER, "val", "--is_slide", ("crop_size", "stride", "needed by is_slide", "[width, height]")),
    (EAGER, "val", "--is_slide --crop_size 8 8 --stride 9 8", ("stride", "[9, 8]", "crop_size [8, 8]")),
    (EAGER, "val", "--is_slide --crop_size 0 8 --stride 8 8", ("crop_size", "at least 1", "[0, 8]")),
    (
        EAGER,
        "val",
        "--save_dir data/train.txt/x",
        ("data/train.txt/x", "not a writable directory", "another directory"),
    ),
    (
        STATIC,
        "val",
        "--model_path nowhere --save_dir data/train.txt/x",
        ("data/train.txt/x", "not a writable directory", "another directory"),
    ),
    (STATIC, "val", "", ("no weights are named", "--model_path PATH", "TEST.TEST_MODEL")),
    (STATIC, "val", "TEST.SCALES 0", ("TEST.SCALES", "got 0", "above 0")),
    (STATIC, "val", "TEST.IS_SLIDE True", ("TEST.CROP_SIZE", "TEST.STRIDE", "TEST.IS_SLIDE needs it")),
    (EAGER, "predict", "--custom_color 1 2 3", ("1 colours for 3 classes", "9 in all")),
    (STATIC, "predict", "--model_path nowhere --custom_color 1 2", ("got 2 numbers", "no multiple of 3")),
    (EAGER, "predict", "--custom_color 1 2 3 4 5 6 7 8 256", ("256", "0..255")),
    (EAGER, "predict", "--image_path nodata", ("nodata", "no such file", "an image, a directory or a list file")),
    (STATIC, "predict", "--model_path nowhere --image_path nodata", ("nodata", "no such file")),
    (EAGER, "predict", "--image_path output/best_model", ("output/best_model", "no image in this directory", ".png")),
    (EAGER, "export", "--input_shape 1 1 64 64", ("--input_shape", "1 1 64 64", "expected N 3 H W")),
    (STATIC, "export", "--model_path nowhere --input_shape 1 1 64 64", ("--input_shape", "1 1 64 64", "N 3 H W")),
]


@pytest.mark.parametrize(("mode", "command", "flags", "words"), FLAGS, ids=lambda v: v if isinstance(v, str) else "")
def test_error_flags(project, capsys, mode, command, flags, words):
    needed = () if "--image_path" in flags else NEEDED.get((mode, command), ())
    if mode == EAGER and "--image_path" in flags:
        needed = ("--model_path", "nowhere")
    refused(project, mode, command, [*needed, *flags.split()], capsys, *words)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("command", ["val", "predict", "export"])
def test_error_missing_weights(project, capsys, mode, command):
    flags = ["--model_path", "out/iter_5", *(["--image_path", "data"] if command == "predict" else [])]
    where = ["--vis_dir" if (mode, command) == (STATIC, "predict") else "--save_dir", project.save_dir]
    words = ("no weights at out/iter_5", "the folder out is not there")
    refused(project, mode, command, [*flags, *where], capsys, *words)


@pytest.mark.parametrize(
    ("written", "flag", "iters", "epochs"), [("iters", "epochs", None, 7), ("epochs", "iters", 7, None)]
)
def test_value_the_flag_replaces_the_other_way_to_say_the_length(project, capsys, written, flag, iters, epochs):
    config = project.config(EAGER, {"iters": DROP, written: 3} if written != "iters" else {"iters": 3})
    ended = invoke(EAGER, "train", [CONFIG_FLAG[EAGER], config, f"--{flag}", 7, "--print_config"], capsys)
    assert ended.code == 0
    lines = [line.split("#")[0].strip() for line in ended.out.splitlines()]
    assert f"{flag}: 7" in lines
    assert not any(line.startswith(f"{written}: 3") for line in lines)


def test_value_the_config_may_switch_on_what_a_flag_details(project, capsys):
    config = project.config(EAGER, {"test_config": {"aug_eval": True}})
    argv = [CONFIG_FLAG[EAGER], config, "--model_path", "nowhere", "--scales", "0.5", "2", "--print_config"]
    ended = invoke(EAGER, "val", argv, capsys)
    assert ended.code == 0
    assert "- 0.5\n" in ended.out or "[0.5, 2.0]" in ended.out


@pytest.mark.parametrize(
    ("script", "argv", "says"),
    [
        ("dygraph/train.py", ["--config", "no.yml"], "no.yml: cannot read the config file"),
        ("legacy/pdseg/train.py", ["--cfg", "no.yaml"], "no.yaml: cannot read the config file"),
        ("legacy/pdseg/check.py", [], "--cfg"),
    ],
)
def test_error_of_a_process_of_its_own(script, argv, says):
    ended = run_script(script, argv, {**os.environ, "PYTHONPATH": ""})
    assert ended.code == 2
    assert says in ended.message
    assert ended.errors == 1
    assert "Traceback" not in ended.err
