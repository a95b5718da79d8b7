"""HarDNet's connections and widths by the paper's rule and as PaddleSeg 2.8.0 has them; bad arguments."""

from __future__ import annotations

import paddle
import pytest

from dygraph.models import HarDNet
from dygraph.models.hardnet import HarDBlock, layer_width

SMALL = {"stem_channels": (4, 4, 8, 48), "ch_list": (24, 32, 40), "gr": (100, 33, 20), "n_layers": (4, 8, 5)}


def test_value_connections_by_the_rule_of_the_paper():
    """Layer k reads layer k - 2**n if 2**n divides k (section 3), written out by hand."""
    block = HarDBlock(6, 2, 1.7, 8, "NCHW")
    assert block.sources == [[0], [0, 1], [2], [0, 2, 3], [4], [4, 5], [6], [0, 4, 6, 7]]
    assert block.given == [1, 3, 5, 7, 8]


def _widths(state, block):
    keys = [k for k in state if k.startswith(f"{block}.layers.") and k.endswith("_conv.weight")]
    return [tuple(state[k].shape[:2]) for k in keys]


def test_value_widths():
    """Outputs and inputs of each layer; as PaddleSeg 2.8.0 builds them from the same numbers.

    290 tells a repeated product (100 * 1.7 * 1.7 = 289.0) from a power (100 * 1.7**2 = 288.99...).
    """
    with paddle.LazyGuard():
        state = HarDNet(3, **SMALL).state_dict()
    assert _widths(state, "encoder.blks.0") == [(100, 48), (170, 148), (100, 170), (290, 318)]
    eight = [(34, 24), (56, 58), (34, 56), (96, 114), (34, 96), (56, 130), (34, 56), (162, 210)]
    assert _widths(state, "encoder.blks.3") == eight
    assert _widths(state, "encoder.blks.6") == [(20, 32), (34, 52), (20, 34), (58, 86), (20, 58)]
    assert _widths(state, "decoder.dense_blocks_up.0")[:2] == [(34, 169), (56, 203)]
    assert _widths(state, "decoder.dense_blocks_up.1") == [(100, 394), (170, 494), (100, 170), (290, 664)]


def test_value_widths_are_even():
    """10 * 1.7 is 17, and one more is even; 10 * 1.7**2 is 28.9, and so is less than 28 plus one."""
    assert [layer_width(reads, 10, 1.7) for reads in (1, 2, 3)] == [10, 18, 28]


def test_shape_images_of_four_channels_and_of_few_pixels():
    network = HarDNet(3, in_channels=4)
    network.eval()
    (logits,) = network(paddle.zeros([1, 4, 17, 9]))
    assert logits.shape == [1, 3, 17, 9]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stem_channels": (16, 24, 32)}, r"stem_channels needs 4 numbers, got \[16, 24, 32\]"),
        ({"gr": (10, 16)}, "one number for each block, got 5, 2 and 5"),
        ({"ch_list": (64, 96)}, "one number for each block, got 2, 5 and 5"),
        ({"ch_list": (), "gr": (), "n_layers": ()}, "one number for each block, got 0, 0 and 0"),
    ],
)
def test_error_sizes(arguments, message):
    with pytest.raises(ValueError, match=message):
        HarDNet(3, **arguments)
