"""The flow warp, against bilinear sampling written out in NumPy and against what follows from its definition."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.layers import resize
from dygraph.layers.flow import flow_warp
from scripts.oracle.fixed_weights import fixed_input
from tests.dygraph.networks import static_mode

SHAPES = pytest.mark.parametrize(
    ("source_hw", "flow_hw"), [((5, 7), (5, 7)), ((3, 4), (9, 6)), ((6, 5), (1, 4)), ((1, 1), (2, 3))]
)


def sampled(x, flow):
    """``flow_warp`` of NCHW arrays, pixel by pixel."""
    (batch, channels, height, width), (rows, columns) = x.shape, flow.shape[2:]
    ringed = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))  # zeros outside
    result = np.zeros((batch, channels, rows, columns))
    for n, i, j in np.ndindex(batch, rows, columns):
        across, down = flow[n, :, i, j]
        left = (-1 + 2 * j / max(columns - 1, 1) + across / columns + 1) / 2 * (width - 1)
        top = (-1 + 2 * i / max(rows - 1, 1) + down / rows + 1) / 2 * (height - 1)
        for r in (int(np.floor(top)), int(np.floor(top)) + 1):
            for c in (int(np.floor(left)), int(np.floor(left)) + 1):
                weight = (1 - abs(top - r)) * (1 - abs(left - c))
                pixel = ringed[n, :, min(max(r, -1), height) + 1, min(max(c, -1), width) + 1]
                result[n, :, i, j] += weight * pixel
    return result


def warp(x, flow, data_format):
    if data_format == "NCHW":
        return flow_warp(paddle.to_tensor(x), paddle.to_tensor(flow)).numpy()
    x, flow = (paddle.to_tensor(np.ascontiguousarray(a.transpose(0, 2, 3, 1))) for a in (x, flow))
    return flow_warp(x, flow, "NHWC").numpy().transpose(0, 3, 1, 2)


@SHAPES
@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_value_flow_warp(source_hw, flow_hw, data_format):
    x = fixed_input((2, 3, *source_hw))
    flow = 3 * fixed_input((2, 2, *flow_hw))  # far enough to leave the image here and there
    found = warp(x, flow, data_format)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, sampled(x, flow), rtol=0, atol=1e-12)


def test_value_no_flow_resizes_with_aligned_corners():
    x = paddle.to_tensor(fixed_input((1, 3, 4, 5)))
    still = paddle.zeros([1, 2, 7, 9], "float64")
    np.testing.assert_allclose(flow_warp(x, still).numpy(), resize(x, (7, 9), True).numpy(), rtol=0, atol=1e-12)


def test_value_flow_of_the_width_moves_by_half_the_image():
    x = np.arange(15.0).reshape(1, 1, 3, 5)
    flow = np.zeros((1, 2, 3, 5))
    flow[:, 0] = 5  # to the right: 2 of the 4 steps between the outer pixels
    expected = [[2, 3, 4, 0, 0], [7, 8, 9, 0, 0], [12, 13, 14, 0, 0]]
    np.testing.assert_allclose(warp(x, flow, "NCHW")[0, 0], expected, atol=1e-12)


def test_value_half_precision_is_placed_in_single():
    x = fixed_input((1, 2, 4, 600)).astype(np.float16)
    found = warp(x, np.zeros((1, 2, 4, 600), np.float16), "NCHW")
    assert found.dtype == np.float16
    np.testing.assert_allclose(found.astype(np.float32), x.astype(np.float32), rtol=0, atol=2e-3)


def test_parity_a_program_of_unknown_size_has_the_same_bits():
    x, flow = fixed_input((2, 3, 4, 6)), fixed_input((2, 2, 9, 7))
    expected = warp(x, flow, "NCHW")
    with static_mode() as (main, _):
        inputs = [paddle.static.data(name, [-1, c, -1, -1], "float64") for name, c in (("x", 3), ("flow", 2))]
        (found,) = paddle.static.Executor().run(main, {"x": x, "flow": flow}, [flow_warp(*inputs)])
    assert np.array_equal(found, expected)


def test_grad_reaches_the_feature_and_the_flow():
    """The flow's gradient against the difference of two values."""
    x, flow = fixed_input((1, 2, 4, 5)), fixed_input((1, 2, 6, 3))
    tensors = [paddle.to_tensor(a, stop_gradient=False) for a in (x, flow)]
    flow_warp(*tensors).square().sum().backward()
    assert np.abs(tensors[0].grad.numpy()).min() > 0
    step = 1e-6
    for index in ((0, 0, 1, 1), (0, 1, 4, 2)):
        moved = [flow.copy(), flow.copy()]
        moved[0][index] += step
        moved[1][index] -= step
        plus, minus = ((sampled(x, f) ** 2).sum() for f in moved)
        np.testing.assert_allclose(tensors[1].grad.numpy()[index], (plus - minus) / (2 * step), rtol=1e-5)
