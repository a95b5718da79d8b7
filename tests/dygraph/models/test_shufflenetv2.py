"""ShuffleNetV2's units by the paper's definition; what of the published weights is not used."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.models import ShuffleNetV2
from dygraph.models.shufflenetv2 import Downsample, Unit
from scripts.oracle.fixed_weights import fixed_input
from tests.dygraph.networks import fill, run

ORDER = {"NCHW": (0, 1, 2, 3), "NHWC": (0, 2, 3, 1)}
BACK = {"NCHW": (0, 1, 2, 3), "NHWC": (0, 3, 1, 2)}


def _through(unit, images, data_format):
    unit = fill(unit)
    unit.eval()
    x = paddle.to_tensor(images.transpose(ORDER[data_format]).astype("float32"))
    return unit(x).numpy().transpose(BACK[data_format])


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_value_a_unit_passes_one_half_to_every_second_channel(data_format):
    """Paper, figure 3(c): split, convolve one half, concatenate, shuffle two groups."""
    images = fixed_input((2, 8, 5, 6))
    found = _through(Unit(8, data_format), images, data_format)
    np.testing.assert_array_equal(found[:, 0::2], images[:, :4].astype("float32"))
    changed = images.copy()
    changed[:, :4] += 1.0
    np.testing.assert_array_equal(_through(Unit(8, data_format), changed, data_format)[:, 1::2], found[:, 1::2])
    assert found[:, 1::2].std() > 0


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_shape_a_first_unit_halves_the_size_and_doubles_the_channels(data_format):
    assert _through(Downsample(8, 16, data_format), fixed_input((2, 8, 5, 6)), data_format).shape == (2, 16, 3, 3)


def test_value_what_nothing_reads_is_frozen():
    """Published weights hold a second branch in each of the ten further units."""
    frozen = [
        k for k, p in ShuffleNetV2(2).named_parameters() if p.stop_gradient and not k.endswith(("mean", "variance"))
    ]
    assert {k.split("._depthwise_separable_0.")[0] for k in frozen} == {
        *(f"block1.{i}" for i in (1, 2, 3)),
        *(f"block2.{i}" for i in (1, 2, 3, 4, 5, 6, 7)),
    }
    assert len(frozen) == 10 * 6  # two convolutions, and scale and shift of two normalisations


def test_value_logits_are_not_negative():
    """The classifier ends in a ReLU, as PaddleSeg 2.8.0's: its recorded logits have zeros and none below."""
    logits = run(fill(ShuffleNetV2(5)), fixed_input((2, 3, 64, 64)), training=True)
    assert logits.min() == 0
    assert logits.max() > 0


def test_value_kernels_begin_small():
    """Standard deviation 0.001, as PaddleSeg 2.8.0 draws them."""
    paddle.seed(0)
    state = ShuffleNetV2(2).state_dict()
    kernels = np.concatenate([v.numpy().ravel() for k, v in state.items() if k.endswith("_conv.weight")])
    assert kernels.std() == pytest.approx(0.001, rel=0.02)
    assert kernels.mean() == pytest.approx(0, abs=2e-5)
