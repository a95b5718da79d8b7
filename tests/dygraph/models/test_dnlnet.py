"""DNLNet's block against NumPy: whitened similarities and what stands out by itself."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.build import build_model
from dygraph.models.dnlnet import DisentangledNonLocal
from scripts.oracle.fixed_weights import fixed_input
from shared.errors import ConfigError
from tests.dygraph.networks import default_dtype, fill

SMALL = {"type": "DNLNet", "num_classes": 3, "backbone": {"type": "ResNet18_vd"}}
CHANNELS, HIDDEN, PIXELS = 8, 4, 15


def _softmax(x):
    shifted = np.exp(x - x.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize(
    ("mode", "use_scale", "weigh"),
    [
        ("embedded_gaussian", True, lambda similarity: _softmax(similarity / (0.5 * np.sqrt(HIDDEN)))),
        ("embedded_gaussian", False, lambda similarity: _softmax(similarity / 0.5)),
        ("dot_product", True, lambda similarity: similarity / PIXELS),
    ],
)
def test_value_block(mode, use_scale, weigh, data_format):
    x = fixed_input((2, CHANNELS, 3, 5))
    with default_dtype("float64"):
        block = fill(DisentangledNonLocal(CHANNELS, HIDDEN, use_scale, mode, 0.5, data_format))
    block.eval()
    gathered = []
    block.conv_out.register_forward_pre_hook(lambda _, inputs: gathered.append(inputs[0].numpy()))
    axes, back = ((0, 1, 2, 3), (0, 1, 2, 3)) if data_format == "NCHW" else ((0, 2, 3, 1), (0, 3, 1, 2))
    block(paddle.to_tensor(x.transpose(axes)))

    state = {name: value.numpy() for name, value in block.state_dict().items()}
    pixels = x.reshape(2, CHANNELS, PIXELS)
    query, key, value, mask = (
        state[f"{name}.weight"][:, :, 0, 0] @ pixels + state[f"{name}.bias"][:, None]
        for name in ("theta", "phi", "g", "conv_mask")
    )
    query -= query.mean(axis=2, keepdims=True)
    key -= key.mean(axis=2, keepdims=True)
    pairwise = value @ weigh(query.transpose(0, 2, 1) @ key).transpose(0, 2, 1)  # [N, C, P]
    unary = (value * _softmax(mask)).sum(axis=2, keepdims=True)  # [N, C, 1]
    expected = (pairwise + unary).reshape(2, HIDDEN, 3, 5)
    np.testing.assert_allclose(gathered[0].transpose(back), expected, rtol=1e-9, atol=1e-12)


def test_value_the_block_is_added_to_its_input():
    x = fixed_input((2, CHANNELS, 3, 5))
    with default_dtype("float64"):
        block = fill(DisentangledNonLocal(CHANNELS, HIDDEN, True, "embedded_gaussian", 0.5, "NCHW"))
    block.eval()
    block.conv_out._batch_norm.weight.set_value(np.zeros(CHANNELS))
    block.conv_out._batch_norm.bias.set_value(np.full(CHANNELS, 2.0))
    np.testing.assert_allclose(block(paddle.to_tensor(x)).numpy(), x + 2, rtol=1e-12)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mode": "gaussian"}, "mode must be one of embedded_gaussian, dot_product, got 'gaussian'"),
        ({"temperature": 0}, "temperature must be positive"),
        ({"reduction": 0}, "reduction must lie in 1..128"),
        ({"reduction": 129}, "reduction must lie in 1..128"),
    ],
)
def test_error_arguments(wrong, message):
    with pytest.raises(ConfigError, match=message):
        build_model({**SMALL, **wrong})
