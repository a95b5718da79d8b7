from __future__ import annotations

import pytest

from shared.config.eager import load_run_config
from shared.config.run_config import Component, OptimizerConfig, ReaderConfig, ScheduleConfig
from shared.errors import ConfigError

pytestmark = pytest.mark.usefixtures("registries")


def problems_of(path, *opts, **overrides):
    with pytest.raises(ConfigError) as caught:
        load_run_config(path, overrides, opts)
    return caught.value.problems


def test_value_basic_config(basic):
    run = load_run_config(basic)
    assert run.model == Component("FCN", {"backbone": Component("HRNet_W18"), "num_classes": 3})
    assert run.num_classes == 3
    assert run.ignore_index == 255
    assert run.losses[0].loss == Component("CrossEntropyLoss", {"ignore_index": 255})
    assert run.optimizer == OptimizerConfig("momentum", momentum=0.9, weight_decay=0.0005)
    assert run.schedule == ScheduleConfig("poly", 0.01, end_lr=0.0, power=0.9)
    assert run.train_data.dataset == Component(
        "Dataset", {"dataset_root": "data/own", "train_path": "train.txt", "num_classes": 3, "mode": "train"}
    )
    assert [t.type for t in run.train_data.transforms] == ["Resize", "Normalize"]
    assert run.val_data is None
    assert (run.train.iters, run.train.epochs, run.train.batch_size) == (100, None, 2)
    assert not run.train.batch_is_global
    assert run.reader == ReaderConfig("inline", 0, 2)
    assert run.source == basic


def test_value_command_line_wins_and_opts_win_over_flags(basic):
    run = load_run_config(
        basic,
        {"iters": 7, "learning_rate": 0.5, "seed": 3, "data_format": "NHWC", "precision": "fp16", "num_workers": 2},
        ["seed=4", "model.backbone.has_se=true", "train_dataset.transforms.0.target_size=[96, 48]", "loss.coef=[2]"],
    )
    assert (run.train.iters, run.train.seed, run.data_format) == (7, 4, "NHWC")
    assert run.schedule.learning_rate == 0.5
    assert run.precision.dtype == "float16"
    assert run.reader == ReaderConfig("process", 2, 2)
    assert run.model.args["backbone"] == Component("HRNet_W18", {"has_se": True})
    assert run.train_data.transforms[0].args["target_size"] == [96, 48]
    assert run.losses[0].coef == 2.0
    assert {k for k, o in run.origins.items() if o == "command line"} == {
        "iters",
        "lr_scheduler.learning_rate",
        "seed",
        "data_format",
        "precision",
        "num_workers",
        "model.backbone.has_se",
        "train_dataset.transforms.0.target_size",
        "loss.coef",
    }


def test_value_epochs_replace_iters(basic):
    run = load_run_config(basic, {"epochs": 3})
    assert (run.train.iters, run.train.epochs) == (None, 3)


def test_value_every_top_level_key_arrives(basic):
    values = {
        "log_iters": 3,
        "save_interval": 50,
        "keep_checkpoint_max": 2,
        "do_eval": True,
        "save_dir": "out",
        "resume_model": "out/iter_50",
        "weights": "w.pdparams",
        "seed": 1,
        "deterministic": True,
        "use_vdl": True,
        "vdl_log_dir": "vdl",
        "sync_bn": True,
        "early_stop_intervals": 3,
    }
    run = load_run_config(basic, values)
    names = {"resume_model": "resume_from"}
    for key, value in values.items():
        assert getattr(run.train, names.get(key, key)) == value
    run = load_run_config(basic, {"num_workers": 3, "reader.kind": "thread", "reader.prefetch": 4, "loss_scale": 128})
    assert run.reader == ReaderConfig("thread", 3, 4)
    assert load_run_config(basic, opts=["reader.cache=off", "reader.cache_dir=there"]).reader.cache == "off"
    cached = load_run_config(basic, opts=["reader.cache=disk", "reader.cache_size=8", "reader.cache_dir=there"])
    assert cached.reader == ReaderConfig(cache="disk", cache_size=8.0, cache_dir="there")
    assert run.precision.loss_scale == 128.0
    assert load_run_config(basic, {"on_bad_sample": "skip"}).reader == ReaderConfig("inline", 0, 2, "skip")


def test_error_findings_are_collected(basic):
    problems = problems_of(
        basic,
        "iter=5",
        "model.chanels=3",
        "optimizer.momentun=0.8",
        "lr_scheduler.powr=1",
        "train_dataset.transforms.0.target=3",
        "train_dataset.root=x",
        "test_config.aug_evl=true",
        "loss.coefs=[1]",
        batch_size=0,
    )
    assert {p.split(":")[0] for p in problems} == {
        "iter",
        "model.chanels",
        "optimizer.momentun",
        "lr_scheduler.powr",
        "train_dataset.transforms.0.target",
        "train_dataset.root",
        "test_config.aug_evl",
        "loss.coefs",
        "batch_size",
    }
    assert all(p.endswith("[command line]") for p in problems)
    near = ("'iters'", "'channels'", "'momentum'", "'power'", "'target_size'", "'dataset_root'", "'aug_eval'", "'coef'")
    assert all(any(f"did you mean {n}" in p for p in problems) for n in near)


def test_error_transform_constructor_speaks_under_its_key(basic):
    (problem,) = problems_of(basic, "train_dataset.transforms.1.std=[0, 1, 1]")
    assert problem.startswith("train_dataset.transforms.1: std must be above 0")


def test_error_missing_sections(tmp_path):
    path = tmp_path / "empty.yml"
    path.write_text("batch_size: 2\n", encoding="utf-8")
    keys = {p.split(":")[0] for p in problems_of(str(path))}
    assert keys == {"iters", "model", "model.num_classes", "loss", "optimizer", "lr_scheduler"}


@pytest.mark.parametrize(
    ("opts", "sentence"),
    [
        (["epochs=3", "iters=5"], "epochs: the length of the run is given by iters already"),
        (["train_dataset.transforms=null"], "train_dataset.transforms: missing"),
        (["train_dataset.transforms=3"], "train_dataset.transforms: expected a list of transforms, got 3"),
        (["model.num_classes=5"], "train_dataset.num_classes: is 3, but model.num_classes is 5; make them agree"),
        (["train_dataset.num_classes=1"], "model.num_classes: expected 2 or more"),
        (["model.backbone.data_format=NHWC"], "model.backbone.data_format: the whole run has one"),
        (["model.data_format=NHWC", "data_format=NCHW"], "model.data_format: is NHWC, but data_format is NCHW"),
        (["precision=fp8"], "precision: expected one of"),
        (["amp_level=O3"], "amp_level: expected one of O1, O2, got 'O3'"),
        (["loss_scale=.inf"], "loss_scale: expected 'dynamic' or a number, got inf"),
        (["loss_scale=0"], "loss_scale: expected more than 0, got 0"),
        (["loss_scale=often"], "loss_scale: expected 'dynamic' or a number, got the text 'often'"),
        (["num_workers=2", "reader.kind=inline"], "reader.kind: inline needs no worker"),
        (["reader.kind=thread"], "reader.kind: thread needs workers"),
        (["reader.cache=rom"], "reader.cache: expected one of off, ram, disk, got 'rom'; did you mean 'ram'?"),
        (["reader.cache=ram", "reader.cache_dir=x"], "reader.cache_dir: got 'x' with cache: ram"),
        (["reader.cache=disk", "reader.cache_size=0"], "reader.cache_size: expected more than 0, got 0"),
        (["use_ema=true"], "use_ema: no moving average"),
        (["to_static_training=true"], "to_static_training: train with"),
        (["distill_loss={coef: [1]}"], "distill_loss: distillation is not carried"),
        (["test_dataset={type: Dataset}"], "test_dataset: no command reads a test split"),
        (["early_stop_intervals=0"], "early_stop_intervals: expected 1 or more, got 0"),
        (["on_bad_sample=ignore"], "on_bad_sample: expected one of stop, skip, got 'ignore'"),
        (["early_stopping=3"], "early_stopping: the config has no key 'early_stopping'"),
        (["optimizer=adam"], "optimizer: expected a mapping, got 'adam'"),
        (["loss.types=[]"], "loss.types: expected at least one entry"),
        (["loss.coef=[]"], "loss.coef: expected at least one entry"),
        (["loss.coef=1"], "loss.coef: expected a list (each a number), got 1"),
        (["loss.types=[{type: BCELoss}, {type: BCELoss}]"], "loss.coef: expected one number for each of the 2 types"),
        (["loss.types.0.type=CrossEntropy"], "loss.types.0.type: there is no loss 'CrossEntropy'; did you mean"),
        (["model.backbone=HRNet_W18"], "model.backbone: expected a mapping with 'type'"),
        (["train_dataset.type=Datset"], "train_dataset.type: there is no dataset 'Datset'; did you mean 'Dataset'?"),
        (["export={transforms: [{type: Normalize}]}"], "export.transforms: differ from val_dataset.transforms"),
        (["test_config.is_slide=true"], "test_config.crop_size: needed by is_slide"),
        (["test_config.crop_size=[0, 4]"], "test_config.crop_size: expected [width, height] of at least 1"),
        (["test_config.crop_size=5"], "test_config.crop_size: expected a list of 2 values"),
        (
            ["test_config={is_slide: true, crop_size: [64, 32], stride: [64, 33]}"],
            "test_config.stride: [64, 33] is larger than crop_size [64, 32]",
        ),
        (["test_config.scales=[1, 0]"], "test_config.scales: expected positive numbers"),
        (
            ["train_dataset.edge=false", "loss.types.0={type: BCELoss, edge_label: true}"],
            "train_dataset.edge: is false, but a loss reads edges (edge_label: true); remove the key or the loss",
        ),
        (["train_dataset.edge=2"], "train_dataset.edge: expected true or false, got 2"),
        (["test_config.auc_roc=true"], "test_config.auc_roc: the area under the ROC curve is not computed"),
    ],
)
def test_error_sentences(basic, opts, sentence):
    assert any(p.startswith(sentence) for p in problems_of(basic, *opts)), problems_of(basic, *opts)


@pytest.mark.parametrize("opt", ["use_ema=false", "to_static_training=False", "optimizer.grad_clip=null"])
def test_value_keys_that_say_off_are_accepted(basic, opt):
    assert load_run_config(basic, opts=[opt]).train.iters == 100


def test_value_data_format_of_the_model_is_the_runs(basic):
    run = load_run_config(basic, opts=["model.data_format=NHWC"])
    assert run.data_format == "NHWC"
    assert "data_format" not in run.model.args


def test_value_test_config_sizes_are_swapped(basic):
    run = load_run_config(
        basic, opts=["test_config={is_slide: true, crop_size: [64, 32], stride: [40, 20], scales: 2}"]
    )
    assert run.evaluation.crop_hw == (32, 64)
    assert run.evaluation.stride_hw == (20, 40)
    assert run.evaluation.scales == (2.0,)


def test_value_num_classes_from_the_data_sets_class(basic):
    run = load_run_config(basic, opts=["train_dataset={type: Cityscapes, dataset_root: d, transforms: []}"])
    assert run.num_classes == 19
    assert run.model.args["num_classes"] == 19
    assert run.train_data.dataset.args == {"dataset_root": "d", "mode": "train"}
    assert run.origins["model.num_classes"] == "the data set"


def test_value_num_classes_from_the_model_reach_the_data_set(basic):
    data = "{type: Dataset, dataset_root: d, val_path: v.txt, transforms: []}"
    run = load_run_config(basic, opts=["model.num_classes=3", f"val_dataset={data}"])
    assert run.val_data.dataset.args["num_classes"] == 3
    assert run.val_data.dataset.args["mode"] == "val"


def test_error_data_sets_contradict_each_other(basic):
    data = "{type: Cityscapes, dataset_root: d, transforms: []}"
    (problem,) = problems_of(basic, f"val_dataset={data}")
    assert problem.startswith("val_dataset.num_classes: is 19, but train_dataset.num_classes is 3")
    data = "{type: Dataset, dataset_root: d, val_path: v, num_classes: 3, ignore_index: 0, transforms: []}"
    (problem,) = problems_of(basic, f"val_dataset={data}")
    assert problem.startswith("val_dataset.ignore_index: is 0, but train_dataset.ignore_index is 255")


def test_value_ignore_index_reaches_losses_that_take_one(basic):
    types = "[{type: CrossEntropyLoss}, {type: LovaszSoftmaxLoss, ignore_index: 0}, {type: BCELoss}]"
    run = load_run_config(basic, opts=["train_dataset.ignore_index=9", f"loss={{types: {types}, coef: [1, 1, 1]}}"])
    assert run.ignore_index == 9
    assert [dict(t.loss.args) for t in run.losses] == [{"ignore_index": 9}, {"ignore_index": 0}, {}]
    assert run.origins["loss.types.0.ignore_index"] == "the data set"
    assert "loss.types.1.ignore_index" not in run.origins


@pytest.mark.parametrize(
    ("opts", "edge"),
    [
        ([], False),
        (["train_dataset.edge=true"], True),
        (["train_dataset.edge=false"], False),
        (["loss.types.0={type: BCELoss, edge_label: true}"], True),
        (["train_dataset.edge=true", "loss.types.0={type: BCELoss, edge_label: true}"], True),
        (["train_dataset.edge=false", "loss.types.0={type: BCELoss, edge_label: false}"], False),
    ],
)
def test_value_edge_is_what_is_asked_for_or_what_a_loss_reads(basic, opts, edge):
    run = load_run_config(basic, opts=opts)
    assert run.train_data.edge is edge
    assert "edge" not in run.train_data.dataset.args


def test_value_edge_of_an_evaluation_is_its_own(basic):
    data = "{type: Dataset, dataset_root: d, val_path: v, num_classes: 3, transforms: [], edge: false}"
    reading = "loss.types.0={type: BCELoss, edge_label: true}"
    assert load_run_config(basic, opts=[f"val_dataset={data}", reading]).val_data.edge is False
    assert load_run_config(basic, opts=[f"val_dataset={data}", "val_dataset.edge=true"]).val_data.edge is True


def test_error_names_the_file_a_finding_stands_in(tmp_path, basic):
    child = tmp_path / "child.yml"
    child.write_text("_base_: basic.yml\nbatch: 3\n", encoding="utf-8")
    with open(basic, "a", encoding="utf-8") as file:
        file.write("colour: red\n")
    problems = {p.split(":")[0]: p for p in problems_of(str(child))}
    assert problems["colour"].endswith(f"[{tmp_path / 'basic.yml'}]")
    assert not problems["batch"].endswith("]")
