"""Palettes against published values and the user's mistakes."""

from __future__ import annotations

import numpy as np
import pytest

from shared.errors import ConfigError
from shared.visualize.palette import default_palette, resolve_palette

# The 20 object colours of Pascal VOC's development kit, aeroplane to tvmonitor; PaddleSeg begins with them too.
VOC = """
128 0 0    0 128 0    128 128 0    0 0 128    128 0 128    0 128 128    128 128 128    64 0 0    192 0 0    64 128 0
192 128 0    64 0 128    192 0 128    64 128 128    192 128 128    0 64 0    128 64 0    0 192 0    128 192 0
0 64 128
"""


def test_value_voc():
    expected = np.array(VOC.split(), int).reshape(-1, 3)
    np.testing.assert_array_equal(default_palette(20), expected)
    # As paddleseg 2.8.0's get_color_map_list(256) ends.
    np.testing.assert_array_equal(default_palette(256)[-2:], [[224, 224, 192], [0, 0, 32]])


@pytest.mark.parametrize("num_classes", [1, 2, 19, 256, 1000])
def test_value_distinct_and_stable(num_classes):
    palette = default_palette(num_classes)
    assert (palette.shape, palette.dtype) == ((num_classes, 3), np.uint8)
    assert len(np.unique(palette, axis=0)) == num_classes
    np.testing.assert_array_equal(palette, default_palette(1200)[:num_classes])
    assert not (palette == 0).all(axis=1).any()
    assert not (palette == 255).all(axis=1).any()


def test_value_resolve():
    assert resolve_palette(None, 2).tolist() == [[128, 0, 0], [0, 128, 0]]
    assert resolve_palette(None, 2, [[1, 2, 3], [4, 5, 6]]).tolist() == [[1, 2, 3], [4, 5, 6]]
    custom = resolve_palette([0, 0, 0, 255, 0, 0, 9, 9, 9], 2, [[1, 2, 3], [4, 5, 6]])
    assert custom.tolist() == [[0, 0, 0], [255, 0, 0]]
    assert custom.dtype == np.uint8


@pytest.mark.parametrize(
    ("custom", "words"),
    [
        ([0, 0, 0, 255], "custom_color: got 4 numbers, which is no multiple of 3"),
        ([0, 0, 0, 255, 0, 0], "custom_color: got 2 colours for 3 classes; .* 9 in all"),
        ([], "custom_color: got 0 colours for 3 classes"),
        ([0, 0, 0, 255, 0, 0, 1, 256, 1], "custom_color: got the value 256; expected three numbers in 0..255"),
        ([0, 0, 0, 255, 0, 0, 1, -1, 1], "custom_color: got the value -1"),
        ([0, 0, 0, 255, 0, 0, 1, 0.5, 1], "custom_color: got the value 0.5"),
    ],
)
def test_error_custom(custom, words):
    with pytest.raises(ConfigError, match=words):
        resolve_palette(custom, 3)


def test_error_custom_says_all():
    with pytest.raises(ConfigError) as caught:
        resolve_palette([0, 300], 3)
    assert len(caught.value.problems) == 2


def test_error_values():
    with pytest.raises(ValueError, match="num_classes is 0"):
        default_palette(0)
    with pytest.raises(ValueError, match=r"shape \(1, 3\); expected \(2, 3\)"):
        resolve_palette(None, 2, [[1, 2, 3]])
    with pytest.raises(ValueError, match=r"0..255"):
        resolve_palette(None, 1, [[1, 2, 256]])
