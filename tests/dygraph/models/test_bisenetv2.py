"""BiSeNetV2's widths and first weights against PaddleSeg 2.8.0 and by hand; bad arguments."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.models import BiSeNetV2

STAGES = ("stem.fuse", "stage3.0.branch_1.3", "stage4.0.branch_1.3", "stage5_4.0.branch_1.3")


@pytest.mark.parametrize(
    ("lambd", "expected"),
    [(0.25, [16, 32, 64, 128]), (0.3, [19, 38, 64, 128]), (0.5, [32, 64, 64, 128]), (1.0, [64, 128, 64, 128])],
)
def test_value_widths_of_the_semantic_branch(lambd, expected):
    """As PaddleSeg 2.8.0 has them for the same numbers."""
    with paddle.LazyGuard():
        state = BiSeNetV2(3, lambd=lambd).state_dict()
    assert [state[f"sb.{stage}._conv.weight"].shape[0] for stage in STAGES] == expected
    assert [state[f"aux_head{i}.conv_1x1.weight"].shape[1] for i in (1, 2, 3, 4)] == expected


def test_value_depthwise_kernels_begin_as_he_initialisation_has_them():
    """Each kernel reads nine numbers, so the standard deviation is sqrt(2 / 9), whatever the number of channels."""
    paddle.seed(0)
    state = BiSeNetV2(3).state_dict()
    kernels = [v.numpy() for k, v in state.items() if k.endswith("depthwise_conv._conv.weight")]
    assert len(kernels) == 16
    assert all(kernel.shape[1:] == (1, 3, 3) for kernel in kernels)
    drawn = np.concatenate([kernel.ravel() for kernel in kernels])
    assert drawn.std() == pytest.approx(np.sqrt(2 / 9), rel=0.02)
    assert drawn.mean() == pytest.approx(0, abs=0.01)


def test_shape_images_of_four_channels():
    network = BiSeNetV2(3, in_channels=4)
    network.eval()
    (logits,) = network(paddle.zeros([1, 4, 33, 40]))
    assert logits.shape == [1, 3, 33, 40]


@pytest.mark.parametrize("lambd", [0.0, -0.25, 0.03])
def test_error_lambd(lambd):
    with pytest.raises(ValueError, match=f"at least 0.03125.*got {lambd}"):
        BiSeNetV2(3, lambd=lambd)
