"""From the static configuration to the run: losses, schedules, data, readers, and files of ``configs/``."""

from __future__ import annotations

from pathlib import Path

import pytest

import dygraph.build  # noqa: F401 - fills the registries the configs are checked against
from legacy.pdseg.config import load_static_config
from legacy.pdseg.translate import reader_config
from shared.config.run_config import Component, LossTerm, OptimizerConfig, ReaderConfig, RunConfig, ScheduleConfig
from shared.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
HRNET = str(ROOT / "legacy/configs/hrnetw18_cityscapes_1024x512_215.yaml")
EAGER = str(ROOT / "configs/fcn/fcn_hrnetw18_cityscapes_1024x512_80k.yml")


def load(*overrides: str, path: str = HRNET, **options: object) -> RunConfig:
    return load_static_config(path, overrides, check_lists=(), **options)


def test_value_several_losses_mix() -> None:
    words = ["SOLVER.LOSS", "['dice_loss', 'softmax_loss']", "SOLVER.LOSS_WEIGHT.DICE_LOSS", "0.3"]
    words += ["SOLVER.CROSS_ENTROPY_WEIGHT", str([0.5] * 19), "MODEL.MULTI_LOSS_WEIGHT", "[2]"]
    dice = Component("DiceLoss", {"ignore_index": 255})
    entropy = Component("CrossEntropyLoss", {"ignore_index": 255, "weight": [0.5] * 19})
    mixed = Component("MixedLoss", {"losses": [dice, entropy], "coef": [0.3, 1.0]})
    assert load(*words).losses == (LossTerm(mixed, 2.0),)


def test_value_one_loss_is_weighed_by_both() -> None:
    words = ["SOLVER.LOSS_WEIGHT.SOFTMAX_LOSS", "0.5", "MODEL.MULTI_LOSS_WEIGHT", "[3]"]
    assert load(*words).losses[0].coef == 1.5


def test_value_schedules() -> None:
    expected = {
        "poly": ScheduleConfig(type="poly", learning_rate=0.01, power=0.9, end_lr=0.0),
        "cosine": ScheduleConfig(type="cosine", learning_rate=0.01, step_unit="epoch", end_lr=0.0),
        "piecewise": ScheduleConfig(
            type="step", learning_rate=0.01, gamma=0.1, boundaries=(10, 20), boundary_unit="epoch"
        ),
    }
    for policy, schedule in expected.items():
        assert load("SOLVER.LR_POLICY", policy).schedule == schedule


def test_value_adam_takes_the_momenta_as_betas() -> None:
    words = ["SOLVER.OPTIMIZER", "adam", "SOLVER.MOMENTUM", "0.8", "SOLVER.MOMENTUM2", "0.99"]
    assert load(*words).optimizer == OptimizerConfig(type="adam", beta1=0.8, beta2=0.99, weight_decay=0.0005)


def test_value_order_of_the_training_transforms() -> None:
    rich = "AUG.RICH_CROP."
    words = [f"{rich}MAX_ROTATION", "15", f"{rich}MIN_AREA_RATIO", "0.5", f"{rich}ASPECT_RATIO", "0.3"]
    words += [f"{rich}BLUR", "True", "AUG.FLIP", "True"]
    assert [step.type for step in load(*words).train_data.transforms] == [
        "ResizeStepScaling",
        "RandomBlur",
        "RandomRotation",
        "RandomScaleAspect",
        "RandomDistort",
        "RandomPaddingCrop",
        "RandomVerticalFlip",
        "RandomHorizontalFlip",
        "Normalize",
    ]


def test_value_unpadding_resizes_and_crops_nothing() -> None:
    words = ["AUG.AUG_METHOD", "unpadding", "AUG.FIX_RESIZE_SIZE", "(512, 256)", "AUG.RICH_CROP.ENABLE", "False"]
    run = load(*words, "TRAIN_CROP_SIZE", "(512, 256)", "EVAL_CROP_SIZE", "(512, 256)")
    resize = Component("Resize", {"target_size": [512, 256]})
    assert [step.type for step in run.train_data.transforms] == ["Resize", "RandomHorizontalFlip", "Normalize"]
    assert run.train_data.transforms[0] == run.val_data.transforms[0] == resize
    assert len(run.val_data.transforms) == 2


def test_value_rangescaling_evaluates_by_the_longer_side() -> None:
    steps = load("AUG.AUG_METHOD", "rangescaling", "AUG.INF_RESIZE_VALUE", "640").val_data.transforms
    assert [step.type for step in steps] == ["ResizeByLong", "Padding", "Normalize"]
    assert steps[0].args["long_size"] == 640


def test_value_lists_and_labels(tmp_path: Path) -> None:
    lists = {name: tmp_path / f"{name}.txt" for name in ("train", "val", "test")}
    for path in lists.values():
        path.write_text("a.png|b.png\n", encoding="utf-8")
    words = ["DATASET.DATA_DIR", str(tmp_path), "DATASET.NUM_CLASSES", "3", "DATASET.SEPARATOR", "|"]
    for name, path in lists.items():
        words += [f"DATASET.{name.upper()}_FILE_LIST", str(path)]
    run = load_static_config(HRNET, words, check_lists=("train", "val", "vis"))
    shared_args = {"dataset_root": str(tmp_path), "num_classes": 3, "separator": "|", "ignore_index": 255}
    for data, mode in ((run.train_data, "train"), (run.val_data, "val")):
        expected = {**shared_args, "mode": mode, f"{mode}_path": str(lists[mode])}
        assert data.dataset == Component("Dataset", expected)
    assert run.files.predict_images == str(lists["test"])
    assert run.num_classes == 3


def test_value_list_may_lie_in_the_data_directory(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("a.png b.png\n", encoding="utf-8")
    words = ["DATASET.DATA_DIR", str(tmp_path), "DATASET.TRAIN_FILE_LIST", "train.txt"]
    assert load_static_config(HRNET, words).train_data.dataset.args["train_path"] == "train.txt"


@pytest.mark.parametrize(
    ("workers", "buffered", "use_mpio", "expected"),
    [
        (8, 256, True, ReaderConfig("process", 8, 2)),
        (8, 256, False, ReaderConfig("thread", 8, 2)),
        (8, 8, False, ReaderConfig("thread", 8, 1)),
        (4, 3, True, ReaderConfig("process", 3, 1)),
        (0, 256, True, ReaderConfig("inline", 0, 2)),
    ],
)
def test_value_reader(workers: int, buffered: int, use_mpio: bool, expected: ReaderConfig) -> None:
    assert reader_config(workers, buffered, use_mpio) == expected


def test_value_flags_replace_options() -> None:
    flags = {
        "log_iters": 5,
        "do_eval": True,
        "use_vdl": True,
        "vdl_log_dir": "vdl",
        "seed": 7,
        "deterministic": True,
        "save_dir": "out",
        "resume_model": "old",
        "keep_checkpoint_max": 2,
    }
    run = load("TRAIN.SEED", "3", "TRAIN.MODEL_SAVE_DIR", "there", flags=flags)
    train = run.train
    assert (train.log_iters, train.do_eval, train.use_vdl, train.vdl_log_dir) == (5, True, True, "vdl")
    assert (train.seed, train.deterministic, train.save_dir) == (7, True, "out")
    assert (train.resume_from, train.keep_checkpoint_max) == ("old", 2)
    assert run.origins["TRAIN.MODEL_SAVE_DIR"] == "command line"


def test_value_flags_not_given_leave_the_options() -> None:
    run = load("TRAIN.DETERMINISTIC", "True", "TRAIN.SEED", "0", flags={"deterministic": False, "seed": None})
    assert run.train.deterministic is True
    assert run.train.seed == 0
    assert load(flags={"seed": 0}).train.seed == 0


def test_value_base_file_and_origins(tmp_path: Path) -> None:
    path = tmp_path / "child.yaml"
    path.write_text(f"_base_: {HRNET}\nSOLVER:\n  LR: 0.02\n", encoding="utf-8")
    run = load("SOLVER.NUM_EPOCHS", "1", path=str(path))
    assert run.schedule.learning_rate == 0.02
    assert run.schedule.power == 0.9
    keys = ("SOLVER.LR", "SOLVER.POWER", "SOLVER.NUM_EPOCHS", "SOLVER.GAMMA")
    assert [run.origins[key] for key in keys] == [str(path), HRNET, "command line", "default"]
    assert run.source == str(path)


def test_value_file_of_the_eager_mode() -> None:
    run = load("batch_size", "3", "optimizer.weight_decay=0.1", "seed", "5", path=EAGER, flags={"log_iters": 2})
    assert run.train.batch_size == 3
    assert run.train.batch_is_global is False
    assert run.optimizer.weight_decay == 0.1
    assert (run.train.seed, run.train.log_iters, run.train.iters) == (5, 2, 80000)
    assert run.model.type == "FCN"


def test_error_file_of_the_eager_mode() -> None:
    with pytest.raises(ConfigError, match="batch_size: has no value; overrides are KEY VALUE pairs or KEY=VALUE"):
        load("seed=1", "batch_size", path=EAGER)


@pytest.mark.parametrize(
    ("words", "use_mpio", "expected"),
    [
        ([], False, ReaderConfig("inline", 0, 2)),
        ([], True, ReaderConfig("process", 8, 2)),
        (["num_workers", "3"], False, ReaderConfig("thread", 3, 2)),
        (["num_workers", "3", "reader.prefetch", "4"], True, ReaderConfig("process", 3, 4)),
        (["num_workers", "3", "on_bad_sample", "skip"], True, ReaderConfig("process", 3, 2, "skip")),
        (["num_workers", "3", "reader.kind", "process"], False, ReaderConfig("process", 3, 2)),
        (["num_workers", "3", "reader.kind", "thread"], True, ReaderConfig("process", 3, 2)),
    ],
)
def test_value_reader_of_an_eager_file(words: list[str], use_mpio: bool, expected: ReaderConfig) -> None:
    assert load(*words, path=EAGER, use_mpio=use_mpio).reader == expected


def test_value_cache() -> None:
    assert load("DATALOADER.CACHE", "off").reader.cache == "off"
    kept = ("reader.cache", "disk", "reader.cache_dir", "there")
    for use_mpio in (True, False):
        reader = load(*kept, "num_workers", "3", path=EAGER, use_mpio=use_mpio).reader
        assert (reader.cache, reader.cache_dir) == ("disk", "there")
    with pytest.raises(ConfigError, match=r"DATALOADER\.CACHE_DIR: got 'x' with DATALOADER\.CACHE ram"):
        load("DATALOADER.CACHE", "ram", "DATALOADER.CACHE_DIR", "x")
    with pytest.raises(ConfigError, match=r"DATALOADER\.CACHE: .*expected one of off, ram, disk"):
        load("DATALOADER.CACHE", "rom")


def test_error_reader_of_an_eager_file() -> None:
    with pytest.raises(ConfigError, match="num_workers: got 0, and --use_mpio needs workers"):
        load("num_workers", "0", path=EAGER, use_mpio=True)


def test_value_file_as_paddleseg_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's u"..." in YAML, tuples as text, lists beside the data, options of choices not made."""
    lists = tmp_path / "dataset" / "optic"
    lists.mkdir(parents=True)
    for name in ("train_list.txt", "val_list.txt"):
        (lists / name).write_text("JPEGImages/a.jpg Annotations/a.png\n", encoding="utf-8")
    (tmp_path / "hrnet_optic.yaml").write_text(
        """
TRAIN_CROP_SIZE: (512, 512) # (width, height), for unpadding rangescaling and stepscaling
EVAL_CROP_SIZE: (512, 512) # (width, height), for unpadding rangescaling and stepscaling
AUG:
    AUG_METHOD: u"unpadding" # choice unpadding rangescaling and stepscaling
    FIX_RESIZE_SIZE: (512, 512) # (width, height), for unpadding
    INF_RESIZE_VALUE: 500  # for rangescaling
    MIN_SCALE_FACTOR: 0.75  # for stepscaling
    MIRROR: True
BATCH_SIZE: 4
DATASET:
    DATA_DIR: "./dataset/optic/"
    IMAGE_TYPE: "rgb"  # choice rgb or rgba
    NUM_CLASSES: 2
    TEST_FILE_LIST : "./dataset/optic/test_list.txt"
    TRAIN_FILE_LIST : "./dataset/optic/train_list.txt"
    VAL_FILE_LIST : "./dataset/optic/val_list.txt"
    IGNORE_INDEX: 255
    SEPARATOR: " "
FREEZE:
    MODEL_FILENAME: "__model__"
    PARAMS_FILENAME: "__params__"
MODEL:
    MODEL_NAME: "hrnet"
    DEFAULT_NORM_TYPE: "bn"
    HRNET:
TRAIN:
    PRETRAINED_MODEL_DIR: u"./pretrained_model/hrnet/"
    MODEL_SAVE_DIR: "./saved_model/hrnet_optic/"
    SNAPSHOT_EPOCH: 2
TEST:
    TEST_MODEL: "./saved_model/hrnet_optic/final"
SOLVER:
    NUM_EPOCHS: 10
    LR: 1e-3
    LR_POLICY: "poly"
    OPTIMIZER: "adam"
""",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    run = load_static_config("hrnet_optic.yaml")
    assert run.model.args["backbone"].type == "HRNet_W40"
    assert run.model.args["num_classes"] == 2
    assert run.train.weights == "./pretrained_model/hrnet/"
    assert run.schedule.learning_rate == 0.001
    assert run.optimizer == OptimizerConfig(type="adam", weight_decay=4e-5)
    assert run.train_data.transforms[0] == Component("Resize", {"target_size": [512, 512]})
    assert run.train_data.to_rgb is False
    assert (run.files.export_model, run.files.export_params) == ("__model__", "__params__")


def test_value_text_stays_as_written() -> None:
    assert load("TRAIN.MODEL_SAVE_DIR", "007").train.save_dir == "007"
    assert load("TRAIN.MODEL_SAVE_DIR", "'a b'").train.save_dir == "a b"
    assert load("TRAIN.MODEL_SAVE_DIR", "").train.save_dir == "output"


def test_error_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the config file: No such file"):
        load(path=str(tmp_path / "none.yaml"))
