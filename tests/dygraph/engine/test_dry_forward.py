"""How many maps of logits a network gives, and from which heads, without computing anything."""

from __future__ import annotations

import dataclasses

import numpy as np
import paddle
import pytest

from dygraph.engine import dry_forward
from dygraph.engine.dry_forward import head_problems
from shared.config.eager import load_run_config
from shared.config.run_config import Component, LossTerm
from shared.registry import MODELS
from tests.conftest import ROOT

LOSS = LossTerm(Component("CrossEntropyLoss"))
CONFIGS = ROOT / "configs"
FCN = "fcn/fcn_hrnetw18_cityscapes_1024x512_80k.yml"
OCRNET = "ocrnet/ocrnet_hrnetw18_cityscapes_1024x512_160k.yml"
GSCNN = "gscnn/gscnn_resnet50_os8_cityscapes_1024x512_80k.yml"
BISENET = "bisenet/bisenet_cityscapes_1024x1024_160k.yml"


def recipe(name):
    return load_run_config(str(CONFIGS / name))


@pytest.mark.parametrize(
    "name", [*(pytest.param(name, marks=pytest.mark.slow) for name in (FCN, OCRNET)), GSCNN, BISENET]
)
def test_value_recipes_fit(name):
    assert head_problems(recipe(name)) == []


@pytest.mark.parametrize(
    ("name", "losses", "words"),
    [
        (
            FCN,
            2,
            "2 loss(es) are configured (CrossEntropyLoss, CrossEntropyLoss), but FCN gives 1 map(s) of logits "
            "in training on [2, 3, 512, 1024]: 1. head [2, 19, 512, 1024]; name one loss per map",
        ),
        pytest.param(
            OCRNET,
            1,
            "1. head.cls_head [2, 19, 512, 1024], 2. head.aux_head [2, 19, 512, 1024]",
            marks=pytest.mark.slow,
        ),
        (BISENET, 3, "3. aux_head2 [4, 19, 1024, 1024]"),
        (
            GSCNN,
            1,
            "1. head.decoder [2, 19, 512, 1024], 2. (head.decoder, computed) [2, 19, 512, 1024] and [2, 1, 512, 1024], "
            "3. computed [2, 1, 512, 1024], 4. head.decoder",
        ),
    ],
)
def test_error_another_number_of_losses(name, losses, words):
    (problem,) = head_problems(recipe(name).replace(losses=(LOSS,) * losses))
    assert problem.startswith("loss.types: ")
    assert words in problem


def test_error_a_loss_on_a_pair_of_maps():
    (problem,) = head_problems(recipe(GSCNN).replace(losses=(LOSS,) * 4))
    assert problem.startswith("loss.types.1: CrossEntropyLoss takes one map, but map 2 of the network is a pair")
    assert "1. head.decoder [2, 19" in problem


def test_value_nothing_is_computed():
    run = recipe(BISENET)
    more_than_any_memory = dataclasses.replace(run.train, batch_size=10**6)
    assert head_problems(run.replace(train=more_than_any_memory)) == []


def test_value_leaves_paddle_as_it_was():
    paddle.seed(3)
    wanted = paddle.rand([4]).numpy()
    paddle.seed(3)
    head_problems(recipe(BISENET).replace(losses=(LOSS, LOSS)))
    assert paddle.in_dynamic_mode()
    assert np.array_equal(paddle.rand([4]).numpy(), wanted)


def test_value_a_network_that_only_runs_eagerly_is_not_judged(monkeypatch):
    class Eager(paddle.nn.Layer):
        def __init__(self, num_classes: int):
            super().__init__()
            self.conv = paddle.nn.Conv2D(3, num_classes, 1)

        def forward(self, x):
            return [self.conv(x)] * (2 if float(x.numpy().mean()) > 0 else 1)

    monkeypatch.setitem(MODELS._entries, "OnlyEager", Eager)
    run = recipe(FCN).replace(model=Component("OnlyEager", {"num_classes": 19}))
    assert head_problems(run) == []


def test_value_pretrained_weights_are_not_fetched(monkeypatch):
    def fetch(*_, **__):
        pytest.fail("weights were fetched")

    monkeypatch.setattr("dygraph.pretrained.load_pretrained", fetch)
    assert "pretrained" in recipe(GSCNN).model.args["backbone"].args
    assert head_problems(recipe(GSCNN)) == []
    assert dry_forward.DEFAULT_SIZE_HW == (512, 512)
