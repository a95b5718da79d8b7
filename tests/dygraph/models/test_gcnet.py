"""GCNet's context block against NumPy."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.build import build_model
from dygraph.models.gcnet import GlobalContext
from scripts.oracle.fixed_weights import fixed_input
from shared.errors import ConfigError
from tests.dygraph.networks import default_dtype, fill


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_value_every_pixel_gets_the_same_context(data_format):
    x = fixed_input((2, 8, 3, 4))
    with default_dtype("float64"):
        block = fill(GlobalContext(8, 0.5, data_format))
    state = {name: value.numpy() for name, value in block.state_dict().items()}
    assert state["channel_add_conv.0.weight"].shape == (4, 8, 1, 1)

    def project(name, feature):  # [N, C, P] by a 1x1 convolution
        return state[f"{name}.weight"][:, :, 0, 0] @ feature + state[f"{name}.bias"][:, None]

    pixels = x.reshape(2, 8, 12)
    weights = np.exp(project("conv_mask", pixels))  # [N, 1, P]
    weights /= weights.sum(axis=2, keepdims=True)
    hidden = project("channel_add_conv.0", (pixels * weights).sum(axis=2, keepdims=True))  # [N, 4, 1]
    hidden = (hidden - hidden.mean(axis=1, keepdims=True)) / np.sqrt(hidden.var(axis=1, keepdims=True) + 1e-5)
    hidden = hidden * state["channel_add_conv.1.weight"][:, None] + state["channel_add_conv.1.bias"][:, None]
    expected = x + project("channel_add_conv.3", np.maximum(hidden, 0)).reshape(2, 8, 1, 1)

    axes, back = ((0, 1, 2, 3), (0, 1, 2, 3)) if data_format == "NCHW" else ((0, 2, 3, 1), (0, 3, 1, 2))
    found = block(paddle.to_tensor(x.transpose(axes))).numpy().transpose(back)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


def test_error_a_bottleneck_without_channels():
    spec = {"type": "GCNet", "num_classes": 3, "backbone": {"type": "ResNet18_vd"}, "gc_channels": 8, "ratio": 0.1}
    with pytest.raises(ConfigError, match=r"ratio 0\.1 of gc_channels 8"):
        build_model(spec)
