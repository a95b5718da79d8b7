"""ANN's sampled attention against NumPy; what its options do."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.build import build_model
from dygraph.engine.optimizer import trainable_names
from dygraph.models.ann import SampledAttention
from scripts.oracle.fixed_weights import fixed_input
from shared.errors import ConfigError
from tests.dygraph.networks import default_dtype, fill

SMALL = {
    "type": "ANN",
    "num_classes": 3,
    "backbone": {"type": "ResNet18_vd", "output_stride": 16},
    "key_value_channels": 8,
    "inter_channels": 16,
}


def _means(x, sizes):
    """``[C, H, W]`` to ``[C, S]``: means over each grid, a bin reaching from the floor to the ceiling of its bounds."""
    means = []
    for size in sizes:
        rows, columns = ([(i * n // size, -(-(i + 1) * n // size)) for i in range(size)] for n in x.shape[1:])
        means += [x[:, top:bottom, left:right].mean((1, 2)) for top, bottom in rows for left, right in columns]
    return np.stack(means, axis=1)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("psp_size", [(1,), (2, 3)])
def test_value_keys_and_values_are_means_over_the_grids(psp_size, data_format):
    """The recorded networks have one ``psp_size`` only: PaddleSeg's does not read its argument."""
    source, target = fixed_input((1, 4, 7, 5)), fixed_input((1, 2, 3, 4))
    with default_dtype("float64"):
        key, query = (paddle.nn.Conv2D(c, 4, 1, data_format=data_format) for c in (4, 2))
        block = fill(SampledAttention(key, query, 4, 2, 4, psp_size, data_format))
    axes = (0, 1, 2, 3) if data_format == "NCHW" else (0, 2, 3, 1)
    found = block(*(paddle.to_tensor(x.transpose(axes)) for x in (source, target))).numpy()

    def project(name, x):
        weight, bias = (block.state_dict()[f"{name}.{kind}"].numpy() for kind in ("weight", "bias"))
        return np.einsum("oc,c...->o...", weight[:, :, 0, 0], x) + bias.reshape([-1] + [1] * (x.ndim - 1))

    similarities = project("f_query", target[0]).reshape(4, 12).T @ _means(project("f_key", source[0]), psp_size) / 2
    weights = np.exp(similarities) / np.exp(similarities).sum(axis=1, keepdims=True)  # [12, S]
    context = weights @ _means(project("f_value", source[0]), psp_size).T  # [12, 4]
    expected = project("W", context.T.reshape(4, 3, 4))[None].transpose(axes)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_value_without_auxiliary_loss_its_head_keeps_its_names_and_does_not_train():
    with_head, without = (build_model({**SMALL, "enable_auxiliary_loss": enabled}) for enabled in (True, False))
    assert list(without.state_dict()) == list(with_head.state_dict())
    untrained = set(trainable_names(with_head)) - set(trainable_names(without))
    layers = ("conv_bn_relu._conv", "conv_bn_relu._batch_norm", "conv")
    assert untrained == {f"head.auxlayer.{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
    assert len(without(paddle.zeros([1, 3, 33, 32]))) == 1


def test_shape_features_of_two_sizes():
    network = build_model({**SMALL, "backbone_indices": [1, 3]})
    network.eval()
    earlier, last = network.features(paddle.zeros([1, 3, 65, 97]))
    assert (earlier.shape[2:], last.shape[2:]) == ([9, 13], [5, 7])
    assert [x.shape for x in network(paddle.zeros([1, 3, 65, 97]))] == [[1, 3, 65, 97]] * 2


@pytest.mark.parametrize("psp_size", [[], [0, 3]])
def test_error_psp_size(psp_size):
    with pytest.raises(ConfigError, match="psp_size must be positive"):
        build_model({**SMALL, "psp_size": psp_size})
