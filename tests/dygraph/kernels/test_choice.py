"""When an eager network's layers take the kernels of this package, and when Paddle's."""

from __future__ import annotations

import numpy as np
import paddle
import paddle.nn.functional as F  # noqa: N812
import pytest

from dygraph.kernels import choice, convolution
from dygraph.kernels.choice import convolve, fast_kernels, lacking
from dygraph.layers import Conv2D
from dygraph.layers.layout import resize

pytestmark = pytest.mark.skipif(lacking() is not None, reason=str(lacking()))


@pytest.fixture
def calls(monkeypatch):
    """Names of what the kernels were asked to compute."""
    seen = []

    def watch(module, name):
        right = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args: seen.append(name) or right(*args))

    for name in ("forward", "image_gradient", "kernel_gradient", "gradients"):
        watch(convolution, name)
    watch(choice.bilinear, "gradient")
    return seen


def _images(*shape, dtype="float32", constant=False):
    values = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    return paddle.to_tensor(values, stop_gradient=constant)


def test_value_a_layer_inside_and_outside(calls):
    layer = Conv2D(4, 6, 3, padding=1)
    x = _images(2, 4, 9, 7)
    outside = layer(x)
    assert calls == []
    with fast_kernels():
        inside = layer(x)
        with fast_kernels(False):
            layer(x)
    layer(x)
    assert calls == ["forward"]
    np.testing.assert_allclose(inside.numpy(), outside.numpy(), rtol=1e-5, atol=1e-5)


def test_grad_follows_the_forward_pass_and_leaves_constants_out(calls):
    layer = Conv2D(4, 6, 3, padding=1)
    with fast_kernels():
        from_images = layer(_images(2, 4, 9, 7, constant=True))
    from_images.sum().backward()
    assert calls == ["forward", "kernel_gradient"]
    del calls[:]
    layer.weight.stop_gradient = True
    x = _images(2, 4, 9, 7)
    with fast_kernels():
        layer(x).sum().backward()
    assert calls == ["forward", "image_gradient"]
    assert x.grad.shape == x.shape


def test_value_other_types_and_layouts_are_paddles(calls):
    with fast_kernels():
        convolve(_images(2, 4, 9, 7, dtype="float64"), _images(6, 4, 3, 3, dtype="float64"), padding=1)
        Conv2D(4, 6, 3, data_format="NHWC")(_images(2, 9, 7, 4))
        convolve(_images(2, 4, 9, 7), _images(6, 4, 1, 1))
    assert calls == []


def test_value_resizing_is_ours_where_a_gradient_will_be_asked_for(calls):
    x, constant = _images(2, 4, 5, 6), _images(2, 4, 5, 6, constant=True)
    with fast_kernels():
        found = resize(x, [10, 9])
        found.sum().backward()
        assert calls == ["gradient"]
        resize(constant, [10, 9])
        with paddle.no_grad():
            found = resize(x, [10, 9])
    expected = F.interpolate(x, [10, 9], mode="bilinear", align_mode=0)
    np.testing.assert_array_equal(found.numpy(), expected.numpy())
    assert calls == ["gradient"]


def test_value_an_error_inside_ends_the_choice(calls):
    with pytest.raises(ZeroDivisionError), fast_kernels():
        raise ZeroDivisionError
    convolve(_images(2, 4, 9, 7), _images(6, 4, 3, 3))
    assert calls == []


def test_value_what_a_paddle_lacks_is_said(monkeypatch):
    monkeypatch.setattr(choice.onednn, "library", lambda: None)
    assert lacking() == f"this Paddle ({paddle.__version__}) carries no oneDNN 3"
    monkeypatch.delattr(paddle.static, "register_op")
    assert "takes no Python operator into a Program" in lacking()
