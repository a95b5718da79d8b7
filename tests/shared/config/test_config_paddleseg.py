"""Files written for PaddleSeg 2.x mean here what they mean there."""

from __future__ import annotations

import json

import pytest

from shared.config.eager import load_run_config
from shared.config.run_config import Component, EvalConfig, LossTerm, OptimizerConfig, ScheduleConfig
from shared.engine.schedule import Schedule

pytestmark = pytest.mark.usefixtures("registries")


@pytest.fixture
def load(peer_configs):
    return lambda name: load_run_config(str(peer_configs / f"{name}.yml"))


def test_value_2_0_learning_rate_block(load):
    run = load("v20_learning_rate")
    assert (run.train.batch_size, run.train.iters, run.num_classes) == (3, 1000, 19)
    assert run.optimizer == OptimizerConfig("momentum", momentum=0.85, weight_decay=0.0004)
    assert run.schedule == ScheduleConfig("poly", 0.02, end_lr=1e-5, power=0.9)
    backbone = Component("HRNet_W18", {"pretrained": "https://example.com/hrnet_w18.tar.gz"})
    assert run.model.args == {
        "backbone": backbone,
        "num_classes": 19,
        "pretrained": None,
        "backbone_indices": [-1],
    }
    assert [t.type for t in run.train_data.transforms] == [
        "ResizeStepScaling",
        "RandomPaddingCrop",
        "RandomHorizontalFlip",
        "Normalize",
    ]
    assert run.val_data.dataset == Component("Cityscapes", {"dataset_root": "data/cityscapes", "mode": "val"})


def test_value_2_1_lr_scheduler_with_warmup_and_a_replaced_optimizer(load):
    run = load("v21_lr_scheduler")
    assert run.optimizer == OptimizerConfig("adamw", beta1=0.8, weight_decay=0.05)
    assert run.schedule == ScheduleConfig("poly", 0.1, end_lr=0.0001, power=1.0, warmup_iters=10, warmup_start_lr=0.001)
    assert run.num_classes == 19
    assert run.model.args["backbone"].args["multi_grid"] == [1, 2, 4]


def test_value_list_file_dataset(load):
    run = load("list_file_dataset")
    assert run.train_data.dataset.args == {
        "dataset_root": "data/own",
        "train_path": "data/own/train_list.txt",
        "separator": " ",
        "ignore_index": 9,
        "num_classes": 2,
        "mode": "train",
    }
    assert run.num_classes == 2
    assert run.ignore_index == 9
    term = Component("CrossEntropyLoss", {"ignore_index": 9})
    assert run.losses == (LossTerm(term, 1.0), LossTerm(term, 0.4))
    assert run.optimizer == OptimizerConfig("adam")


def test_value_aug_eval_test_config(load):
    assert load("aug_eval").evaluation == EvalConfig(
        aug_eval=True,
        scales=(0.75, 1.0, 1.25),
        flip_horizontal=True,
        flip_vertical=False,
        is_slide=True,
        crop_hw=(320, 640),
        stride_hw=(160, 320),
    )


def test_value_mixed_loss(load):
    mixed, plain = load("mixed_loss").losses
    assert (mixed.coef, plain.coef) == (1.0, 0.4)
    assert mixed.loss.args["coef"] == [0.8, 0.2]
    assert mixed.loss.args["losses"] == [
        Component("CrossEntropyLoss", {"ignore_index": 7}),
        Component("LovaszSoftmaxLoss", {"ignore_index": 255}),
    ]
    assert plain.loss.args["weight"][0] == 0.5
    assert len(plain.loss.args["weight"]) == 19


def test_value_two_bases(load):
    run = load("piecewise")
    assert (run.train.iters, run.train.batch_size) == (3000, 1)
    assert [t.type for t in run.train_data.transforms] == ["Normalize"]
    assert run.model.args["backbone"] == Component("ResNet50_vd")


@pytest.mark.parametrize("name", ["v20_learning_rate", "v21_lr_scheduler", "list_file_dataset", "piecewise"])
def test_value_learning_rates_agree_with_paddleseg(load, peer_configs, name):
    expected = json.loads((peer_configs / "peer.json").read_text(encoding="utf-8"))["learning_rates"][f"{name}.yml"]
    run = load(name)
    rates = Schedule(run.schedule, run.train.iters, 1)
    for iteration, rate in expected.items():
        if int(iteration) < run.train.iters:
            assert rates(int(iteration)) == pytest.approx(rate, rel=1e-9), iteration
