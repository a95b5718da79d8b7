"""OCRNet's region representations against NumPy; which features it reads."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.build import build_model
from dygraph.models.ocrnet import region_representations
from scripts.oracle.fixed_weights import fixed_input
from shared.errors import ConfigError

SMALL = {
    "type": "OCRNet",
    "num_classes": 3,
    "backbone": {"type": "ResNet18_vd", "output_stride": 8},
    "ocr_mid_channels": 16,
    "ocr_key_channels": 8,
}


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_value_region_representations_are_weighted_means_of_pixels(data_format):
    pixels, soft_regions = fixed_input((2, 5, 4, 6)), 4 * fixed_input((2, 3, 4, 6))
    weights = np.exp(soft_regions) / np.exp(soft_regions).sum(axis=(2, 3), keepdims=True)
    expected = np.einsum("nkhw,nchw->nck", weights, pixels)[..., None]  # [2, 5, 3, 1]
    axes = (0, 1, 2, 3) if data_format == "NCHW" else (0, 2, 3, 1)
    found = region_representations(
        *(paddle.to_tensor(x.transpose(axes)) for x in (pixels, soft_regions)), data_format=data_format
    )
    np.testing.assert_allclose(found.numpy(), expected.transpose(axes), rtol=1e-12)


def _widths(indices):
    state = build_model({**SMALL, "backbone_indices": indices}).state_dict()
    return state["head.aux_head.0._conv.weight"].shape[1], state["head.conv3x3_ocr._conv.weight"].shape[1]


def test_value_the_last_two_indices_are_read():
    """As PaddleSeg 2.8.0 does: its widths for the same lists, of ResNet18_vd's 64, 128, 256 and 512 channels."""
    assert _widths([0]) == (64, 64)
    assert _widths([2, 3]) == (256, 512)
    assert _widths([3, 1]) == (512, 128)
    assert _widths([1, 2, 3]) == (256, 512)


def test_error_features_of_two_strides():
    with pytest.raises(ConfigError, match=r"strides are \[4, 8\]"):
        build_model({**SMALL, "backbone_indices": [0, 1]})


@pytest.mark.parametrize("indices", [[], [4], [7, 2, 3]])
def test_error_backbone_indices(indices):
    with pytest.raises(ConfigError, match="backbone_indices"):
        build_model({**SMALL, "backbone_indices": indices})
