"""Attention over pixels, against NumPy."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.layers.attention import attend, from_tokens, to_tokens
from scripts.oracle.fixed_weights import fixed_input
from tests.dygraph.networks import static_mode


def softmax(x, axis=-1):
    shifted = np.exp(x - x.max(axis=axis, keepdims=True))
    return shifted / shifted.sum(axis=axis, keepdims=True)


@pytest.mark.parametrize("scale", [1.0, 0.3, -1.0])
def test_value_attend(scale):
    query, key, value = (fixed_input(shape) for shape in ((2, 5, 4), (2, 3, 4), (2, 3, 6)))
    found = attend(*(paddle.to_tensor(x) for x in (query, key, value)), scale=scale).numpy()
    for n in range(2):
        weights = softmax(scale * query[n] @ key[n].T)  # [5, 3]
        np.testing.assert_allclose(found[n], weights @ value[n], rtol=1e-12)


def test_value_tokens_are_pixels_row_by_row():
    nchw = fixed_input((2, 3, 4, 5))
    nhwc = np.ascontiguousarray(nchw.transpose(0, 2, 3, 1))
    for x, data_format in ((nchw, "NCHW"), (nhwc, "NHWC")):
        tokens = to_tokens(paddle.to_tensor(x), data_format)
        assert np.array_equal(tokens.numpy(), nhwc.reshape(2, 20, 3))
        assert np.array_equal(from_tokens(tokens, (4, 5), data_format).numpy(), x)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_shape_channels_stay_known_where_sizes_are_not(data_format):
    shape = [-1, 3, -1, -1] if data_format == "NCHW" else [-1, -1, -1, 3]
    with static_mode():
        x = paddle.static.data("x", shape)
        height, width = (paddle.shape(x)[i] for i, size in enumerate(shape) if size == -1 and i)
        tokens = to_tokens(x, data_format)
        assert list(tokens.shape) == [-1, -1, 3]
        assert list(from_tokens(tokens, (height, width), data_format).shape) == shape
