"""What a wrong file or command line is answered with: every finding at once, each with key, value and advice."""

from __future__ import annotations

from pathlib import Path

import pytest

from legacy.pdseg.config import load_static_config
from shared.errors import ConfigError

HRNET = str(Path(__file__).resolve().parents[2] / "legacy/configs/hrnetw18_cityscapes_1024x512_215.yaml")


def problems(*overrides: str, path: str = HRNET, **options: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_static_config(path, overrides, **options)
    assert caught.value.source == path
    assert caught.value.exit_code == 2
    return caught.value.problems


def write(folder: Path, text: str) -> str:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_error_file_and_command_line_come_out_together(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "BATCH_SIZE: two\n"
        "SOLVER:\n  NUM_EPOCH: 3\n  LR: [0.1]\n"
        "AUG: stepscaling\n"
        "DATASETS:\n  DATA_DIR: x\n"
        "MODEL:\n  MODEL_NAME: hrnet\n",
    )
    assert problems("DATASET.IMAGE_TYPE", "gray", path=path) == [
        "SOLVER.NUM_EPOCH: there is no such option; did you mean SOLVER.NUM_EPOCHS?",
        "AUG: got 'stepscaling' (str), expected a section with AUG_METHOD, FIX_RESIZE_SIZE, FLIP, FLIP_RATIO, "
        "INF_RESIZE_VALUE, MAX_RESIZE_VALUE, MAX_SCALE_FACTOR, MIN_RESIZE_VALUE, MIN_SCALE_FACTOR, MIRROR, RICH_CROP, "
        "SCALE_STEP_SIZE, TO_RGB below it",
        "DATASETS: there is no such option; did you mean DATASET?",
        "BATCH_SIZE: got 'two' (str), expected int, at least 1",
        "SOLVER.LR: got [0.1] (list), expected a number, above 0",
        "DATASET.IMAGE_TYPE: got 'gray', but this version reads rgb images only",
        "TRAIN_CROP_SIZE: AUG_METHOD rangescaling needs it: (width, height) in pixels, as in (1024, 512)",
        "EVAL_CROP_SIZE: AUG_METHOD rangescaling needs it: (width, height) in pixels, as in (1024, 512)",
    ]


WRONG_VALUES = [
    ("BATCH_SIZE", "0", "got 0 (int), expected int, at least 1"),
    ("BATCH_SIZE", "0x" + "f" * 5000, "got a value of very many digits (int), expected int, at least 1"),
    ("BATCH_SIZE", "[0x" + "f" * 5000 + "]", "got a value of very many digits (list), expected int, at least 1"),
    ("BATCH_SIZE", "2.5", "got 2.5 (float), expected int, at least 1"),
    ("BATCH_SIZE", "True", "got True (bool), expected int, at least 1"),
    ("MODEL.FP16", "true", "got 'true' (str), expected bool (True or False)"),
    ("MODEL.FP16", "1", "got 1 (int), expected bool (True or False)"),
    ("SOLVER.LR", "-0.1", "got -0.1 (float), expected a number, above 0"),
    ("SOLVER.LR", "1e999", "got inf (float), expected a number, above 0"),
    ("SOLVER.LR", "None", "got None, expected a number, above 0"),
    ("SOLVER.MOMENTUM", "1", "got 1 (int), expected a number, at least 0 and below 1"),
    ("SOLVER.LR_POLICY", "polly", "got 'polly' (str), expected one of poly, piecewise, cosine"),
    ("TRAIN_CROP_SIZE", "1024", "got 1024 (int), expected (width, height) in pixels"),
    ("TRAIN_CROP_SIZE", "(1024, 0)", "got (1024, 0) (tuple), expected (width, height) in pixels"),
    ("TRAIN_CROP_SIZE", "(1024, 512", "got '(1024, 512' (str), expected (width, height) in pixels"),
    ("MEAN", "[0.5, 0.5]", "got [0.5, 0.5] (list), expected a list of 3 values (a number)"),
    ("STD", "[0.5, 0.5, 0]", "got [0.5, 0.5, 0] (list), expected a list of 3 values (a number, above 0)"),
    ("DATASET.IGNORE_INDEX", "256", "got 256 (int), expected int, at least 0 and at most 255"),
    ("DATASET.SEPARATOR", "", "got '' (str), expected str that is not empty"),
    ("MODEL.SCALE_LOSS", "big", "got 'big' (str), expected one of DYNAMIC, dynamic, or a number, above 0"),
    ("MODEL.AMP_DTYPE", "fp16", "got 'fp16' (str), expected one of float16, bfloat16"),
    ("MODEL.AMP_LEVEL", "O3", "got 'O3' (str), expected one of O1, O2"),
    ("TRAIN.SEED", "-1", "got -1 (int), expected int, at least 0, or None"),
    ("MODEL.DEEPLAB.OUTPUT_STRIDE", "32", "got 32 (int), expected one of 8, 16"),
]


@pytest.mark.parametrize(("key", "value", "sentence"), WRONG_VALUES)
def test_error_wrong_value(key: str, value: str, sentence: str) -> None:
    assert problems(key, value) == [f"{key}: {sentence}"]


def test_error_number_too_large_for_a_float() -> None:
    (problem,) = problems("SOLVER.LR", "1" + "0" * 400)
    assert problem.startswith("SOLVER.LR: got 1000")


UNKNOWN = [
    ("LR", "SOLVER.LR"),
    ("solver.lr", "SOLVER.LR"),
    ("MODEL.HRNET.STAGE3.NUM_CHANNEL", "MODEL.HRNET.STAGE3.NUM_CHANNELS"),
    ("AUG.RICHCROP.ENABLE", "AUG.RICH_CROP.ENABLE"),
    ("SOLVER.BATCH_SIZE", "BATCH_SIZE"),
    ("TRAIN.SNAPSHOT_EPOCHS", "TRAIN.SNAPSHOT_EPOCH"),
]


@pytest.mark.parametrize(("key", "near"), UNKNOWN)
def test_error_unknown_key_names_the_closest(key: str, near: str) -> None:
    assert problems(key, "1") == [f"{key}: there is no such option; did you mean {near}?"]


RETIRED = {
    "NUM_TRAINERS": "fleetrun decides",
    "TRAINER_ID": "fleetrun decides",
    "DATASET.TRAIN_TOTAL_IMAGES": "counted from the list",
    "SLIM.KNOWLEDGE_DISTILL": "not part of the static mode",
    "MODEL.ICNET.LAYERS": "does not have this network",
    "MODEL.LANENET": "does not have this network",
    "MODEL.FAST_SCNN.WIDTH": "fast_scnn has no options",
}


@pytest.mark.parametrize(("key", "words"), RETIRED.items())
def test_error_retired_key_says_why(key: str, words: str) -> None:
    (problem,) = problems(key, "1")
    assert problem.startswith(f"{key}: ")
    assert words in problem
    assert "remove the" in problem


def test_error_assignment_gets_a_hint_and_shifts_nothing() -> None:
    assert problems("BATCH_SIZE=2", "SOLVER.LR", "fast", "NUM_EPOCHS=3") == [
        "BATCH_SIZE: got 'BATCH_SIZE=2'; separate key and value by a blank: BATCH_SIZE 2",
        "NUM_EPOCHS: got 'NUM_EPOCHS=3'; separate key and value by a blank: NUM_EPOCHS 3; besides, there is no such "
        "option; did you mean SOLVER.NUM_EPOCHS?",
        "SOLVER.LR: got 'fast' (str), expected a number, above 0",
    ]


def test_error_key_without_value() -> None:
    assert problems("MODEL.FP16", "SOLVER.LR", "0.1", "BATCH_SIZE") == [
        "MODEL.FP16: has no value (the key SOLVER.LR follows it); overrides are KEY VALUE pairs",
        "BATCH_SIZE: has no value (nothing follows it); overrides are KEY VALUE pairs",
    ]


def test_error_section_as_key() -> None:
    (problem,) = problems("FREEZE", "out")
    assert problem == (
        "FREEZE: got 'out' (str), but it is a section that holds MODEL_FILENAME, PARAMS_FILENAME, SAVE_DIR; write "
        "FREEZE.<name>"
    )


NETWORKS = "hrnet, deeplabv3p, unet, pspnet, fast_scnn, ocrnet"
BACKBONES = (
    "resnet_vd_18, resnet_vd_34, resnet_vd_50, resnet_vd_101, resnet_vd_152, xception_41, xception_65, xception_71, "
    "mobilenetv3_large, mobilenetv3_small"
)


@pytest.mark.parametrize("name", ["icnet", "lanenet"])
def test_error_network_missing(name: str) -> None:
    words = ["MODEL.MODEL_NAME", name, "MODEL.MULTI_LOSS_WEIGHT", "[1.0, 0.4, 0.16]"]
    assert problems(*words) == [
        f"MODEL.MODEL_NAME: got {name!r}, which this version does not have; available: {NETWORKS}"
    ]


def test_error_network_unknown() -> None:
    assert problems("MODEL.MODEL_NAME", "hrent") == [f"MODEL.MODEL_NAME: got 'hrent', expected one of {NETWORKS}"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mobilenetv2", "which this version does not have"),
        ("xception_50", "which this version does not have"),
        ("resnet50", "which is no backbone"),
    ],
)
def test_error_deeplab_backbone(name: str, words: str) -> None:
    (problem,) = problems("MODEL.MODEL_NAME", "deeplabv3p", "MODEL.DEEPLAB.BACKBONE", name)
    assert problem == f"MODEL.DEEPLAB.BACKBONE: got {name!r}, {words}; available: {BACKBONES}"


NETWORK_OPTIONS = [
    (
        ["deeplabv3p", "MODEL.DEEPLAB.BACKBONE", "xception_41"],
        "MODEL.DEEPLAB.OUTPUT_STRIDE",
        "8",
        "got 8, but xception",
    ),
    (
        ["deeplabv3p", "MODEL.DEEPLAB.BACKBONE", "xception_65"],
        "MODEL.DEEPLAB.BACKBONE_LR_MULT_LIST",
        "[1, 1, 1, 1, 1]",
        "got [1.0, 1.0, 1.0, 1.0, 1.0], but xception_65 has one learning rate",
    ),
    (
        ["deeplabv3p", "MODEL.DEEPLAB.BACKBONE", "mobilenetv3_large"],
        "MODEL.DEEPLAB.BACKBONE_LR_MULT_LIST",
        "[1, 1, 1, 1, 1]",
        "got [1.0, 1.0, 1.0, 1.0, 1.0], but mobilenetv3_large has one learning rate",
    ),
    (["deeplabv3p"], "MODEL.DEEPLAB.DEPTH_MULTIPLIER", "0", "got 0 (int), expected a number, above 0"),
    (["unet"], "MODEL.UNET.UPSAMPLE_MODE", "bilinaer", "got 'bilinaer'; did you mean bilinear?"),
    (["unet"], "MODEL.UNET.UPSAMPLE_MODE", "", "got '' (str), expected str that is not empty"),
    (["pspnet"], "MODEL.PSPNET.LAYERS", "18", "got 18 (int), expected one of 50, 101"),
    (["ocrnet"], "MODEL.OCR.OCR_KEY_CHANNELS", "0", "got 0 (int), expected int, at least 1"),
    (["ocrnet"], "MODEL.MULTI_LOSS_WEIGHT", "[1.0]", "got [1.0], expected 2 values, as in [1.0, 0.4]"),
    (["fast_scnn"], "MODEL.MULTI_LOSS_WEIGHT", "[1, 1, 1]", "got [1.0, 1.0, 1.0], expected 1 or 2 values"),
    (["pspnet"], "MODEL.MULTI_LOSS_WEIGHT", "[1, 0.4]", "got [1.0, 0.4], expected 1 value: one for each map of logits"),
    (["unet"], "MODEL.MULTI_LOSS_WEIGHT", "[1, 0.4]", "got [1.0, 0.4], expected 1 value: one for each map of logits"),
]


@pytest.mark.parametrize(("network", "key", "value", "beginning"), NETWORK_OPTIONS)
def test_error_network_option(network: list[str], key: str, value: str, beginning: str) -> None:
    weights = ["MODEL.MULTI_LOSS_WEIGHT", "[1.0, 0.4]"] if network == ["ocrnet"] else []
    deeplab = ["MODEL.DEEPLAB.BACKBONE", "resnet_vd_50"] if network == ["deeplabv3p"] else []
    (problem,) = problems("MODEL.MODEL_NAME", *network, *deeplab, *weights, key, value)
    assert problem.startswith(f"{key}: {beginning}")


LOSSES = "softmax_loss, dice_loss, bce_loss, lovasz_softmax_loss, lovasz_hinge_loss"
CONTRADICTIONS = [
    (["SOLVER.LOSS", "focal_loss"], f"SOLVER.LOSS: got 'focal_loss'; expected some of {LOSSES}"),
    (
        ["SOLVER.LOSS", "['softmax_loss', 'lovasz_hinge_loss']"],
        "SOLVER.LOSS: got 'lovasz_hinge_loss', which is for one foreground class, with DATASET.NUM_CLASSES 19; use "
        "lovasz_softmax_loss",
    ),
    (["SOLVER.LOSS", "['dice_loss', 'dice_loss']"], "SOLVER.LOSS: got ['dice_loss', 'dice_loss'], where a loss stands"),
    (["SOLVER.CROSS_ENTROPY_WEIGHT", "dynamic"], "SOLVER.CROSS_ENTROPY_WEIGHT: got 'dynamic', which this version does"),
    (["SOLVER.CROSS_ENTROPY_WEIGHT", "[1, 2]"], "SOLVER.CROSS_ENTROPY_WEIGHT: got 2 numbers, expected one per class"),
    (["SOLVER.CROSS_ENTROPY_WEIGHT", str([0] * 19)], "SOLVER.CROSS_ENTROPY_WEIGHT: got [0.0"),
    (
        ["SOLVER.CROSS_ENTROPY_WEIGHT", str([1] * 19), "SOLVER.LOSS", "dice_loss"],
        "SOLVER.CROSS_ENTROPY_WEIGHT: got [1.0",
    ),
    (["MODEL.MULTI_LOSS_WEIGHT", "[1, 0.4]"], "MODEL.MULTI_LOSS_WEIGHT: got [1.0, 0.4], expected 1 value"),
    (["AUG.MIN_SCALE_FACTOR", "3"], "AUG.MIN_SCALE_FACTOR: got 3.0, which is above AUG.MAX_SCALE_FACTOR 2.0"),
    (
        ["AUG.AUG_METHOD", "rangescaling", "AUG.MIN_RESIZE_VALUE", "601"],
        "AUG.MIN_RESIZE_VALUE: got 601, which is above AUG.MAX_RESIZE_VALUE 600",
    ),
    (["TEST.IS_SLIDE", "True", "TEST.STRIDE", "(8, 8)"], "TEST.CROP_SIZE: TEST.IS_SLIDE needs it"),
    (["TEST.IS_SLIDE", "True", "TEST.CROP_SIZE", "(8, 8)"], "TEST.STRIDE: TEST.IS_SLIDE needs it"),
    (["TEST.CROP_SIZE", "(8, 8)", "TEST.STRIDE", "(8, 9)"], "TEST.STRIDE: got (8, 9), which is above TEST.CROP_SIZE"),
    (["DATASET.NUM_CLASSES", "2"], "DATASET.NUM_CLASSES: got 2, but no list is named, and DATA_DIR is then read"),
    (["DATASET.IGNORE_INDEX", "0"], "DATASET.IGNORE_INDEX: got 0, but no list is named, and DATA_DIR is then read"),
    (["DATASET.SEPARATOR", ","], "DATASET.SEPARATOR: got ',', but no list is named, and DATA_DIR is then read"),
]


@pytest.mark.parametrize(("overrides", "beginning"), CONTRADICTIONS)
def test_error_contradiction(overrides: list[str], beginning: str) -> None:
    (problem,) = problems(*overrides)
    assert problem.startswith(beginning)


def test_error_unpadding_needs_its_size_and_one_size() -> None:
    unpadding = ["AUG.AUG_METHOD", "unpadding"]
    (missing,) = problems(*unpadding)
    assert missing.startswith("AUG.FIX_RESIZE_SIZE: AUG_METHOD unpadding needs it")
    train, evaluation = problems(*unpadding, "AUG.FIX_RESIZE_SIZE", "(512, 512)")
    assert train.startswith("TRAIN_CROP_SIZE: got (1024, 512), but AUG_METHOD unpadding resizes every image")
    assert evaluation.startswith("EVAL_CROP_SIZE: got (2048, 1024), but AUG_METHOD unpadding resizes every image")


def test_error_list_missing_names_the_places_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["DATASET.DATA_DIR", "data", "DATASET.TRAIN_FILE_LIST", "train.list"]
    (problem,) = problems(*words)
    tried = f"(tried {tmp_path / 'train.list'} and {tmp_path / 'data' / 'train.list'})"
    assert problem == (
        f"DATASET.TRAIN_FILE_LIST: there is no file 'train.list' {tried}; write one 'image label' a line, each path "
        "relative to DATASET.DATA_DIR"
    )
    (tmp_path / "data" / "leftImg8bit").mkdir(parents=True)
    (tmp_path / "data" / "gtFine").mkdir()
    (problem,) = problems(*words)
    assert problem.endswith("; data has leftImg8bit and gtFine: leave TRAIN_FILE_LIST empty to read that layout")


def test_error_do_eval_without_validation_list(tmp_path: Path) -> None:
    path = tmp_path / "train.list"
    path.write_text("a.png b.png\n", encoding="utf-8")
    words = ["DATASET.TRAIN_FILE_LIST", str(path)]
    assert problems(*words, flags={"do_eval": True}) == ["DATASET.VAL_FILE_LIST: is empty, and --do_eval needs it"]
    assert load_static_config(HRNET, words, flags={"do_eval": False}).val_data is None


def test_error_flags() -> None:
    assert problems(flags={"log_iters": 0}) == ["--log_steps: got 0, expected 1 or more"]
    with pytest.raises(ValueError, match="unknown flags log_steps; expected some of log_iters"):
        load_static_config(HRNET, flags={"log_steps": 3})


def test_error_both_spellings_in_one_file(tmp_path: Path) -> None:
    (problem,) = problems(path=write(tmp_path, "BATCH_SIZE: 2\nbatch_size: 2\n"))
    assert problem.startswith("batch_size: stands beside BATCH_SIZE; ")
    (problem,) = problems(path=write(tmp_path, "# nothing\n"))
    assert problem.startswith("the file has no keys")


def test_error_same_key_twice(tmp_path: Path) -> None:
    (problem,) = problems(path=write(tmp_path, "BATCH_SIZE: 2\nBATCH_SIZE: 4\n"))
    assert "'BATCH_SIZE' is written twice" in problem


def test_value_command_line_heals_the_file(tmp_path: Path) -> None:
    text = Path(HRNET).read_text(encoding="utf-8").replace("BATCH_SIZE: 8", "BATCH_SIZE: eight")
    path = write(tmp_path, text)
    assert problems(path=path) == ["BATCH_SIZE: got 'eight' (str), expected int, at least 1"]
    assert load_static_config(path, ["BATCH_SIZE", "4"]).train.batch_size == 4
