"""Tiles of a convolution's axis against convolutions in float64, and which of them are chosen."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from dygraph.converted.tiles import PAIR, SCHEMES, SINGLE, TRIPLE, Axis, interpolated

FILTER = np.array([3.0, -5.0, 7.0])


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: f"{len(scheme.after)} of {len(scheme.inputs)} products")
def test_value_outputs_of_a_tile(scheme):
    read = np.arange(1.0, scheme.inputs.shape[1] + 1) ** 2
    expected = np.correlate(np.pad(read, 1) if scheme.between_zeros else read, FILTER)
    found = scheme.after @ ((scheme.taps @ FILTER) * (scheme.inputs @ read))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("axis", "scheme", "multiplications"),
    [
        (Axis(64, 64, 1, 1), interpolated(4), 16 * 6),
        (Axis(32, 32, 4, 4), interpolated(4), 8 * 6),
        (Axis(32, 32, 16, 16), PAIR, 16 * 3),
        (Axis(31, 31, 16, 16), PAIR, 16 * 3),  # one of them has a zero for its second
        (Axis(33, 33, 16, 16), TRIPLE, 16 * 4),  # fifteen of them have a zero for their third
        (Axis(48, 48, 16, 16), TRIPLE, 16 * 4),
        (Axis(49, 49, 16, 16), interpolated(3), 17 * 5),
        (Axis(45, 45, 8, 8), interpolated(3), 16 * 5),
        (Axis(16, 16, 16, 16), SINGLE, 16),
        (Axis(9, 9, 16, 16), SINGLE, 9),
        (Axis(32, 30, 15, 14), interpolated(2), 15 * 4),  # reads what lies behind its outputs
        (Axis(30, 32, 16, 17), interpolated(2), 16 * 4),
    ],
)
def test_value_the_fewest_multiplications(axis, scheme, multiplications):
    assert axis.scheme is scheme
    assert axis.multiplications == multiplications


AXES = [
    (size, size + 2 * padding - 2 * dilation, dilation, padding)
    for size, dilation, padding in product((7, 16, 19, 32), (1, 2, 3, 5, 16), (0, 1, 2, 3, 5, 16))
    if size + 2 * padding > 2 * dilation
]


@pytest.mark.parametrize(("size", "outputs", "dilation", "padding"), AXES)
def test_value_an_axis_in_float64(size, outputs, dilation, padding):
    axis = Axis(size, outputs, dilation, padding)
    image = np.random.default_rng(0).standard_normal(size)
    padded = np.pad(image, padding)
    expected = sum(tap * padded[start : start + outputs] for tap, start in zip(FILTER, (0, dilation, 2 * dilation)))
    with_zeros = np.append(image, np.zeros(axis.reads().max() + 1))
    scheme = axis.scheme
    tiles = scheme.after @ ((scheme.taps @ FILTER)[:, None] * (scheme.inputs @ with_zeros[axis.reads()]))
    np.testing.assert_allclose(tiles[axis.writes()], expected, rtol=1e-9, atol=1e-9)
