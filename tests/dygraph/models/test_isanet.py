"""ISANet's two attentions: which pixels see each other, on sizes that the blocks divide and on others."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.build import build_model
from dygraph.models.isanet import SelfAttention
from scripts.oracle.fixed_weights import fixed_input
from shared.errors import ConfigError
from tests.dygraph.networks import default_dtype, fill, static_mode

SMALL = {
    "type": "ISANet",
    "num_classes": 3,
    "backbone": {"type": "ResNet18_vd"},
    "isa_channels": 8,
    "down_factor": [2, 4],
}


class _Mean(paddle.nn.Layer):
    """In an attention's place: every pixel sees all others alike."""

    def __init__(self, axes):
        super().__init__()
        self.axes = axes

    def forward(self, x):
        return x.mean(axis=self.axes, keepdim=True) + paddle.zeros_like(x)


class _Identity(paddle.nn.Layer):
    def forward(self, x):
        return x


def _interlaced(x, attentions, data_format):
    """What ISANet's head does with ``x`` ``[N, C, h, w]``, with the given layers for its two attentions."""
    with default_dtype("float64"):
        head = build_model({**SMALL, "data_format": data_format}).head
    head.global_relation, head.local_relation = attentions
    axes, back = ((0, 1, 2, 3), (0, 1, 2, 3)) if data_format == "NCHW" else ((0, 2, 3, 1), (0, 3, 1, 2))
    return head._interlaced(paddle.to_tensor(x.transpose(axes))).numpy().transpose(back)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_value_the_first_sees_far_pixels_and_the_second_near_ones(data_format):
    x = fixed_input((2, 3, 6, 12))
    axes = [2, 3] if data_format == "NCHW" else [1, 2]
    far, near = np.empty_like(x), np.empty_like(x)
    for i in range(6):
        for j in range(12):
            far[:, :, i, j] = x[:, :, i % 2 :: 2, j % 4 :: 4].mean(axis=(2, 3))
            top, left = i // 2 * 2, j // 4 * 4
            near[:, :, i, j] = x[:, :, top : top + 2, left : left + 4].mean(axis=(2, 3))
    np.testing.assert_allclose(_interlaced(x, (_Mean(axes), _Identity()), data_format), far, rtol=1e-12)
    np.testing.assert_allclose(_interlaced(x, (_Identity(), _Mean(axes)), data_format), near, rtol=1e-12)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_value_other_sizes_are_padded_around(data_format):
    """5x9 becomes 6x12: nothing and a row of zeros, a column and two of zeros; what comes back is cropped alike."""
    x = fixed_input((1, 3, 5, 9))
    np.testing.assert_array_equal(_interlaced(x, (_Identity(), _Identity()), data_format), x)
    axes = [2, 3] if data_format == "NCHW" else [1, 2]
    near = _interlaced(x, (_Identity(), _Mean(axes)), data_format)
    np.testing.assert_allclose(near[:, :, 0, 0], x[:, :, :2, :3].sum(axis=(2, 3)) / 8, rtol=1e-12)
    np.testing.assert_allclose(near[:, :, 4, 8], x[:, :, 4, 7:9].sum(axis=2) / 8, rtol=1e-12)


def test_value_attention():
    x = fixed_input((1, 6, 2, 3))
    with default_dtype("float64"):
        block = fill(SelfAttention(6, 4, "NCHW"))
    block.eval()
    tensor = paddle.to_tensor(x)
    query, key, value = (
        project(tensor).numpy()[0].reshape(-1, 6).T  # [P, C]
        for project in (block.query_project, block.key_project, block.value_project)
    )
    weights = np.exp(query @ key.T / 2.0)  # 2 is the square root of the keys' width
    weights /= weights.sum(axis=1, keepdims=True)
    context = (weights @ value).T.reshape(1, 6, 2, 3)
    expected = block.output_project(paddle.to_tensor(context)).numpy()
    np.testing.assert_allclose(block(tensor).numpy(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_parity_one_program_for_every_size(data_format):
    network = fill(build_model({**SMALL, "data_format": data_format}))
    network.eval()
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    images = [fixed_input((1, 3, *size_hw)).astype("float32") for size_hw in ((65, 97), (64, 96), (31, 50), (8, 8))]
    expected = [network(paddle.to_tensor(image))[0].numpy() for image in images]
    with static_mode() as (main, startup):
        network = build_model({**SMALL, "data_format": data_format})
        network.eval()
        logits = network(paddle.static.data("image", [-1, 3, -1, -1], "float32"))[0]
        place = paddle.CPUPlace()
        executor = paddle.static.Executor(place)
        executor.run(startup)
        for name, value in network.state_dict().items():
            paddle.static.global_scope().find_var(value.name).get_tensor().set(weights[name], place)
        found = [executor.run(main, feed={"image": image}, fetch_list=[logits])[0] for image in images]
    for one, other in zip(found, expected):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("down_factor", [[8], [8, 0], [2, 2, 2]])
def test_error_down_factor(down_factor):
    with pytest.raises(ConfigError, match="down_factor must be two positive integers"):
        build_model({**SMALL, "down_factor": down_factor})
