"""Forward, loss, gradients and training steps of the two modes: equal bits in float32 and float64, with dropout."""

from __future__ import annotations

import numpy as np
import pytest

from shared.config.run_config import Component, LossTerm, OptimizerConfig
from tests.parity import ladder

SMALL = {
    "fcn_hrnet_w18_small": {"type": "FCN", "backbone": {"type": "HRNet_W18_Small_V1"}},
    "deeplabv3p_resnet18": {"type": "DeepLabV3P", "backbone": {"type": "ResNet18_vd", "output_stride": 8}},
}
RECIPES = {
    "fcn_hrnet_w18": {"type": "FCN", "backbone": {"type": "HRNet_W18"}},
    "fcn_hrnet_w48": {"type": "FCN", "backbone": {"type": "HRNet_W48"}},
    "deeplabv3p_resnet50": {
        "type": "DeepLabV3P",
        "backbone": {"type": "ResNet50_vd", "output_stride": 8, "multi_grid": [1, 2, 4]},
        "aspp_ratios": [1, 12, 24, 36],
    },
    "deeplabv3_resnet50": {"type": "DeepLabV3", "backbone": {"type": "ResNet50_vd", "output_stride": 8}},
}
SHAPE = (2, 3, 49, 65)


def _slow(name):
    """Slow; and the largest network never in two processes at once, for the memory it takes (up to 12 GB)."""
    return [pytest.mark.slow, *([pytest.mark.xdist_group("large")] if name == "fcn_hrnet_w48" else [])]


FAST = [pytest.param(name, dtype, id=f"{name}-{dtype}") for name in SMALL for dtype in ("float32", "float64")]
SLOW = [
    pytest.param(name, dtype, id=f"{name}-{dtype}", marks=_slow(name))
    for name in RECIPES
    for dtype in ("float32", "float64")
]


@pytest.mark.parametrize(("name", "dtype"), FAST + SLOW)
def test_parity_ladder(name, dtype):
    with ladder.default_dtype(dtype):
        pair = ladder.make_pair({**SMALL, **RECIPES}[name], SHAPE, dtype)
        images, labels = ladder.images_and_labels(SHAPE, dtype)
        assert pair.static.logits(images).dtype == np.dtype(dtype)
        assert ladder.differences({"logits": pair.eager.logits(images)}, {"logits": pair.static.logits(images)}) == []
        assert np.array_equal(pair.eager.class_ids(images), pair.static.class_ids(images))

        gradients = ladder.eager_gradients(pair, images, labels)
        assert len(gradients) == sum(not p.stop_gradient for p in pair.eager.network.parameters())
        assert all(np.any(value) for key, value in gradients.items() if key.endswith("conv.weight"))
        assert ladder.differences(gradients, ladder.static_gradients(pair, images, labels)) == []
        assert ladder.differences(pair.eager.state().model, pair.static.state().model) == [], "before the first step"

        start = pair.eager.state().model
        assert ladder.steps(pair.eager, SHAPE, 1, dtype) == ladder.steps(pair.static, SHAPE, 1, dtype)
        assert ladder.state_differences(pair.eager.state(), pair.static.state()) == []
        assert ladder.differences(start, pair.eager.state().model), "the step moved nothing"

        assert ladder.steps(pair.eager, SHAPE, 4, dtype, 7) == ladder.steps(pair.static, SHAPE, 4, dtype, 7)
        assert ladder.state_differences(pair.eager.state(), pair.static.state()) == []
        assert np.array_equal(pair.eager.class_ids(images), pair.static.class_ids(images))


@pytest.mark.parametrize("name", [*SMALL, *(pytest.param(n, marks=_slow(n)) for n in RECIPES)])
def test_parity_nhwc(name):
    pair = ladder.make_pair({**SMALL, **RECIPES}[name], SHAPE, data_format="NHWC")
    assert ladder.steps(pair.eager, SHAPE, 2) == ladder.steps(pair.static, SHAPE, 2)
    assert ladder.state_differences(pair.eager.state(), pair.static.state()) == []


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
    pair = ladder.make_pair(SMALL["fcn_hrnet_w18_small"], SHAPE, optimizer=optimizer)
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
    pair = ladder.make_pair(SMALL["fcn_hrnet_w18_small"], SHAPE, losses=(term,))
    assert ladder.steps(pair.eager, SHAPE, 2) == ladder.steps(pair.static, SHAPE, 2)
    assert ladder.state_differences(pair.eager.state(), pair.static.state()) == []


@pytest.mark.parametrize(
    "fault",
    [
        {"optimizer": OptimizerConfig("momentum", momentum=0.9, weight_decay=5e-5)},
        {"optimizer": OptimizerConfig("momentum", momentum=0.89, weight_decay=4e-5)},
        {"losses": (LossTerm(Component("CrossEntropyLoss"), 1.0001),)},
    ],
    ids=["decay", "momentum", "coefficient"],
)
def test_value_a_planted_fault_turns_the_ladder_red(fault):
    spec = SMALL["fcn_hrnet_w18_small"]
    sound, faulty = ladder.make_pair(spec, SHAPE), ladder.make_pair(spec, SHAPE, **fault)
    ladder.steps(sound.eager, SHAPE, 2)
    ladder.steps(faulty.static, SHAPE, 2)
    assert ladder.state_differences(sound.eager.state(), faulty.static.state())
