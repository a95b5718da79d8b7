"""Training of the two modes beyond ``test_every_network.py``: recipes in full size, float64, optimisers, losses."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.ladder.bits import Both
from scripts.ladder.steps import Feed, probe
from shared.config.run_config import Component, LossTerm, OptimizerConfig
from shared.registry import MODELS
from tests.parity import ladder
from tests.zoo import ZOO

FCN_SMALL = ZOO["FCN"].small_spec
SHAPE = (2, 3, 49, 65)


def _climb(spec, losses, dtype="float32", data_format="NCHW", unused=()):
    """Forward, gradients, one step, four more: both modes have the same bits at each rung."""
    with ladder.default_dtype(dtype):
        pair = ladder.make_pair(spec, SHAPE, dtype, losses, data_format=data_format)
        images, labels = ladder.images_and_labels(SHAPE, dtype)
        _same_inference(pair, images, dtype)

        feed = Feed(images, labels, ladder.LR, ladder.SEED)
        probes = probe(pair, Both(feed, feed))
        gradients = probes.eager.gradients
        read = [k for k, p in pair.eager.network.named_parameters() if not (p.stop_gradient or k.startswith(unused))]
        assert set(gradients) == set(read)
        assert sum(np.any(value) for value in gradients.values()) > 0.9 * len(gradients)
        assert ladder.differences(probes.eager.terms, probes.static.terms) == []
        assert ladder.differences(gradients, probes.static.gradients) == []
        assert ladder.differences(pair.eager.state().model, pair.static.state().model) == [], "before the first step"

        start = pair.eager.state().model
        first = ladder.steps(pair.eager, SHAPE, 1, dtype)
        assert all(np.isfinite([first[0].loss, *first[0].terms]))
        assert first == ladder.steps(pair.static, SHAPE, 1, dtype)
        assert ladder.state_differences(pair.eager.state(), pair.static.state()) == []
        assert ladder.differences(start, pair.eager.state().model), "the step moved nothing"

        assert ladder.steps(pair.eager, SHAPE, 4, dtype, 7) == ladder.steps(pair.static, SHAPE, 4, dtype, 7)
        assert ladder.state_differences(pair.eager.state(), pair.static.state()) == []
        assert np.array_equal(pair.eager.class_ids(images), pair.static.class_ids(images))


def _same_inference(pair, images, dtype):
    """Logits of two sizes from one inference Program."""
    for batch in (images, images[:1, :, :33, :56]):
        eager, static = pair.eager.logits(batch), pair.static.logits(batch)
        assert static.dtype == np.dtype(dtype)
        assert ladder.differences({"logits": eager}, {"logits": static}) == []
    assert np.array_equal(pair.eager.class_ids(images), pair.static.class_ids(images))


@pytest.mark.parametrize("name", ["FCN", pytest.param("DeepLabV3P", marks=pytest.mark.slow)])
def test_parity_float64(name):
    _climb(ZOO[name].small_spec, ZOO[name].losses, "float64")


#: The other recipes in full size train and evaluate in ``test_every_config.py``, small ones climb the ladder.
IN_FULL_SIZE = ("DeepLabV3P", "EMANet", "FCN", "SFNet")


RECIPES = [
    pytest.param(name, marks=() if name in IN_FULL_SIZE else pytest.mark.repeats)
    for name in sorted(MODELS)
    if ZOO[name].small
]


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_parity_recipes(name):
    _climb(ZOO[name].recipe, ZOO[name].losses, unused=ZOO[name].unused)


@pytest.mark.slow
@pytest.mark.repeats
def test_parity_fcn_hrnet_w48():
    _climb({"type": "FCN", "backbone": {"type": "HRNet_W48"}}, ZOO["FCN"].losses)


@pytest.mark.parametrize(
    "optimizer",
    [
        OptimizerConfig("momentum", use_nesterov=True, weight_decay=5e-4),
        OptimizerConfig("adam", weight_decay=4e-5),
        OptimizerConfig("adamw", weight_decay=0.01),
    ],
    ids=["nesterov", "adam", "adamw"],
)
def test_parity_optimizers(optimizer):
    pair = ladder.make_pair(FCN_SMALL, SHAPE, optimizer=optimizer)
    assert ladder.steps(pair.eager, SHAPE, 3) == ladder.steps(pair.static, SHAPE, 3)
    assert ladder.state_differences(pair.eager.state(), pair.static.state()) == []
    assert len(pair.eager.state().optimizer) == len(pair.static.state().optimizer) > 0


def _mixed() -> LossTerm:
    parts = [Component("CrossEntropyLoss"), Component("LovaszSoftmaxLoss"), Component("DiceLoss")]
    return LossTerm(Component("MixedLoss", {"losses": parts, "coef": [0.8, 0.2, 0.3]}))


@pytest.mark.parametrize(
    "term",
    [
        LossTerm(Component("CrossEntropyLoss", {"weight": [0.5, 1.0, 2.0, 1.0, 0.1]}), 0.4),
        LossTerm(Component("OhemCrossEntropyLoss", {"min_kept": 500})),
        _mixed(),
    ],
    ids=["weighted", "ohem", "mixed"],
)
def test_parity_losses(term):
    pair = ladder.make_pair(FCN_SMALL, SHAPE, losses=(term,))
    assert ladder.steps(pair.eager, SHAPE, 2) == ladder.steps(pair.static, SHAPE, 2)
    assert ladder.state_differences(pair.eager.state(), pair.static.state()) == []
