"""Convolutions by oneDNN against Paddle's own in float64."""

from __future__ import annotations

import numpy as np
import paddle
import paddle.nn.functional as F  # noqa: N812
import pytest

from dygraph.kernels import convolution, onednn
from dygraph.kernels.convolution import Options

pytestmark = pytest.mark.skipif(onednn.library() is None, reason="this Paddle carries no oneDNN 3")

CASES = {  # image, kernel, and Paddle's options
    "plain": ((2, 18, 13, 17), (18, 18, 3, 3), {"padding": 1}),
    "of an image": ((2, 3, 33, 49), (64, 3, 3, 3), {"stride": 2, "padding": 1}),
    "seven wide": ((1, 3, 40, 24), (16, 3, 7, 7), {"stride": 2, "padding": 3}),
    "two strides": ((2, 8, 12, 15), (4, 8, 3, 3), {"stride": [2, 1], "padding": 1}),
    "dilated": ((2, 16, 21, 20), (8, 16, 3, 3), {"padding": [4, 6], "dilation": [4, 6]}),
    "a row": ((2, 8, 9, 14), (8, 8, 1, 5), {"padding": [0, 2]}),
    "uneven zeros": ((2, 4, 9, 11), (6, 4, 2, 3), {"padding": [1, 0, 2, 1]}),
    "same, odd": ((2, 5, 15, 17), (7, 5, 3, 3), {"stride": 2, "padding": "SAME"}),
    "same, even": ((2, 5, 16, 18), (7, 5, 3, 3), {"stride": 2, "padding": "same"}),
    "valid": ((2, 5, 16, 18), (7, 5, 3, 3), {"padding": "VALID", "dilation": 2}),
    "a pixel": ((2, 20, 9, 10), (12, 20, 1, 1), {"stride": 2}),
    "grouped": ((2, 12, 10, 11), (18, 4, 3, 3), {"padding": 1, "groups": 3}),
    "depthwise": ((2, 17, 10, 11), (17, 1, 3, 3), {"padding": 2, "dilation": 2, "groups": 17}),
    "depthwise, doubled": ((2, 6, 10, 11), (12, 1, 5, 5), {"padding": 2, "groups": 6}),
    "smaller than the kernel": ((2, 4, 2, 1), (4, 4, 3, 3), {"padding": 1}),
}


def _options(padding=0, stride=1, dilation=1, groups=1):
    return Options.of(stride, padding, dilation, groups)


def _drawn(*shapes):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def _assert_near(found, expected):
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-5, atol=2e-6 * float(expected.abs().max()))


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradients_are_paddles_in_float64(name):
    image_shape, kernel_shape, given = CASES[name]
    image, kernel = _drawn(image_shape, kernel_shape)
    exact = [paddle.to_tensor(one.astype(np.float64), stop_gradient=False) for one in (image, kernel)]
    expected = F.conv2d(*exact, **given)
    (weights,) = _drawn(expected.shape)
    (expected * paddle.to_tensor(weights.astype(np.float64))).sum().backward()

    x, w, gradient = (paddle.to_tensor(one) for one in (image, kernel, weights))
    options = _options(**given)
    assert options.output_shape(image_shape, kernel_shape) == list(expected.shape)
    _assert_near(convolution.forward(x, w, options), expected)
    _assert_near(convolution.image_gradient(x, w, gradient, options), exact[0].grad)
    _assert_near(convolution.kernel_gradient(x, w, gradient, options), exact[1].grad)
    for of, both in zip(
        (convolution.image_gradient, convolution.kernel_gradient), convolution.gradients(x, w, gradient, options)
    ):
        np.testing.assert_array_equal(both.numpy(), of(x, w, gradient, options).numpy())


def test_value_tensors_that_lie_otherwise_in_memory():
    image, kernel = _drawn((2, 9, 11, 6), (8, 6, 3, 3))
    options = _options(padding=1)
    w, gradient = paddle.to_tensor(kernel), paddle.to_tensor(_drawn((2, 8, 9, 11))[0])
    for of, rest in ((convolution.forward, ()), (convolution.kernel_gradient, (gradient,))):
        x = paddle.to_tensor(image).transpose([0, 3, 1, 2])
        assert not x.is_contiguous()
        packed = paddle.to_tensor(np.ascontiguousarray(image.transpose(0, 3, 1, 2)))
        np.testing.assert_array_equal(of(x, w, *rest, options).numpy(), of(packed, w, *rest, options).numpy())


def test_value_two_runs_give_equal_bits():
    x, w = (paddle.to_tensor(one) for one in _drawn((2, 18, 32, 40), (18, 18, 3, 3)))
    once, again = (convolution.kernel_gradient(x, w, x, _options(padding=1)).numpy() for _ in range(2))
    np.testing.assert_array_equal(once, again)


def test_value_unknown_sizes_stay_unknown():
    shape = _options(stride=2, padding=1).output_shape([-1, 3, -1, 65], [16, 3, 3, 3])
    assert shape == [-1, 16, -1, 33]


@pytest.mark.parametrize(
    ("kernel", "given", "expected"),
    [
        ((8, 8, 3, 3), {"padding": 1}, True),
        ((8, 1, 3, 3), {"padding": 1, "groups": 8}, True),
        ((8, 8, 1, 1), {"stride": 2}, True),
        ((8, 8, 1, 1), {"padding": "same"}, False),
        ((8, 8, 1, 1), {}, False),
    ],
)
def test_value_a_plain_product_of_matrices_stays_paddles(kernel, given, expected):
    assert _options(**given).pays(kernel) is expected


@pytest.fixture
def forgotten():
    """What was made for a test is not taken for the next one."""
    convolution._convolution.cache_clear()
    yield
    convolution._convolution.cache_clear()


def _computed(x, kernel, options):
    """Values and gradients, and how many of their primitives have memory lent to them."""
    given = [paddle.to_tensor(one) for one in (x, kernel)]
    values = convolution.forward(*given, options)
    gradients = convolution.gradients(*given, paddle.ones_like(values), options)
    made = convolution._convolution(x.shape, kernel.shape, options)
    lent = sum(one._room > 0 for one in (made.values, made.image_gradient, made.kernel_gradient))
    return [one.numpy() for one in (values, *gradients)], lent


def test_value_scratch_memory_is_lent_where_it_is_much(monkeypatch, forgotten):
    x, kernel = _drawn((2, 64, 32, 48), (64, 64, 3, 3))
    options = _options(padding=8, dilation=8)
    expected, lent = _computed(x, kernel, options)
    assert lent == 0, "oneDNN keeps the little that is needed here"
    monkeypatch.setattr(onednn, "_MOST_SCRATCH_KEPT", 0)
    convolution._convolution.cache_clear()
    found, lent = _computed(x, kernel, options)
    if not lent:
        pytest.skip("on this processor such a convolution needs none")
    for one, other in zip(found, expected):
        np.testing.assert_array_equal(one, other)


def test_error_what_onednn_refuses_names_its_function():
    with pytest.raises(onednn.OneDNNError, match="dnnl_memory_desc_create_with_tag of oneDNN ended with status 2"):
        onednn.any_layout([-3, 1, 1, 1])


def test_value_what_is_no_longer_used_is_destroyed(monkeypatch):
    destroyed = []
    monkeypatch.setattr(onednn.library(), "dnnl_memory_desc_destroy", destroyed.append)
    described = onednn.any_layout([1, 1, 1, 1])
    address = described.value
    del described
    assert [one.value for one in destroyed] == [address]
