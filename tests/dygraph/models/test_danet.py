"""DANet's two attentions against NumPy, and its way of resizing."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.build import build_model
from dygraph.engine.optimizer import trainable_names
from dygraph.models.danet import ChannelAttention, PositionAttention
from scripts.oracle.fixed_weights import fixed_input
from shared.errors import ConfigError
from tests.dygraph.networks import default_dtype, fill

SMALL = {"type": "DANet", "num_classes": 3, "backbone": {"type": "ResNet18_vd"}, "backbone_indices": [3]}


def _softmax(x):
    shifted = np.exp(x - x.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def _run(block, x, data_format):
    axes, back = ((0, 1, 2, 3), (0, 1, 2, 3)) if data_format == "NCHW" else ((0, 2, 3, 1), (0, 3, 1, 2))
    return block(paddle.to_tensor(x.transpose(axes))).numpy().transpose(back)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_value_channels_gather_from_those_unlike_them(data_format):
    x = fixed_input((1, 6, 3, 4))
    with default_dtype("float64"):
        block = ChannelAttention(data_format)
    np.testing.assert_array_equal(_run(block, x, data_format), x)  # gamma begins as 0
    block.gamma.set_value(np.array([0.7]))
    pixels = x[0].reshape(6, 12)
    energy = pixels @ pixels.T
    weights = _softmax(energy.max(axis=1, keepdims=True) - energy)
    expected = 0.7 * (weights @ pixels) + pixels
    np.testing.assert_allclose(_run(block, x, data_format)[0].reshape(6, 12), expected, rtol=1e-10)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_value_positions_gather_from_those_like_them(data_format):
    x = fixed_input((1, 16, 3, 4))
    with default_dtype("float64"):
        block = PositionAttention(16, data_format)
        np.testing.assert_array_equal(_run(block, x, data_format), x)
        fill(block)
    pixels = x[0].reshape(16, 12)
    state = {name: value.numpy() for name, value in block.state_dict().items()}
    query, key, value = (
        state[f"{name}_conv.weight"][:, :, 0, 0] @ pixels + state[f"{name}_conv.bias"][:, None]
        for name in ("query", "key", "value")
    )
    gathered = value @ _softmax(query.T @ key).T  # [16, 12]
    expected = state["gamma"] * gathered + pixels
    np.testing.assert_allclose(_run(block, x, data_format)[0].reshape(16, 12), expected, rtol=1e-10)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_value_resize_has_no_half_pixel(data_format):
    """A ramp of 0, 1, 2 over three columns brought to six: column j shows j / 2, and the last one cannot go on."""
    network = build_model({**SMALL, "data_format": data_format})
    ramp = np.arange(3, dtype=np.float32).reshape(1, 1, 1, 3) * np.ones([1, 1, 2, 1], np.float32)
    logits = ramp if data_format == "NCHW" else ramp.transpose(0, 2, 3, 1)
    resized = network._as_image(paddle.to_tensor(logits), [2, 6], [2, 6]).numpy().reshape(2, 6)
    np.testing.assert_allclose(resized, [[0, 0.5, 1, 1.5, 2, 2]] * 2)


def test_value_one_branch_classifier_is_not_trained():
    """It only gives published weights their place; see the class."""
    network = build_model(SMALL)
    weights = {name for name in network.state_dict() if name.endswith((".weight", ".bias", ".gamma"))}
    assert weights - set(trainable_names(network)) == {"head.aux_head_pam.1.weight", "head.aux_head_pam.1.bias"}


def test_value_the_last_index_is_read():
    one, two = (fill(build_model({**SMALL, "backbone_indices": indices})) for indices in ([3], [0, 3]))
    images = paddle.to_tensor(fixed_input((1, 3, 32, 40)).astype("float32"))
    one.eval(), two.eval()
    np.testing.assert_array_equal(one(images)[0].numpy(), two(images)[0].numpy())


@pytest.mark.parametrize("indices", [[], [4], [4, 3]])
def test_error_backbone_indices(indices):
    with pytest.raises(ConfigError, match="backbone_indices"):
        build_model({**SMALL, "backbone_indices": indices})
