"""Edges of labels: against PaddleSeg 2.8.0, against NumPy, by hand, and in both modes."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.losses.edges import edge_label
from scripts.oracle.loss_cases import EDGE_CASES, edge_case_label
from tests.dygraph.networks import recorded, static_mode

IGNORE = 255
RECORDS = recorded("edges")


def _edges(label, radius=2, ignore_index=IGNORE):
    return edge_label(paddle.to_tensor(label), ignore_index, radius).numpy()


def _by_definition(label, radius, ignore_index=IGNORE):
    """Each pixel's class against that of every pixel within the radius; outside and ignored is no class."""
    height, width = label.shape[1:]

    def class_at(n, y, x):
        inside = 0 <= y < height and 0 <= x < width
        return label[n, y, x] if inside and label[n, y, x] != ignore_index else None

    reach = range(-radius, radius + 1)
    disk = [(down, right) for down in reach for right in reach if np.hypot(down, right) <= radius]
    edges = np.zeros(label.shape, np.int64)
    for n, y, x in np.ndindex(*label.shape):
        edges[n, y, x] = any(class_at(n, y + down, x + right) != class_at(n, y, x) for down, right in disk)
    return edges


def test_value_every_case_is_recorded():
    assert [tuple(r["case"]) for r in RECORDS] == EDGE_CASES


@pytest.mark.parametrize("record", RECORDS, ids=[str(r["case"]) for r in RECORDS])
def test_value_as_recorded(record):
    label, _ = edge_case_label(*record["case"])
    found = _edges(label[None], record["case"][2])
    assert ["".join(map(str, row)) for row in found[0]] == record["edges"]


@pytest.mark.parametrize("radius", [1, 2, 3])
@pytest.mark.parametrize("shape", [(2, 9, 11), (1, 1, 7), (1, 5, 1), (3, 2, 2)])
def test_value_as_defined(shape, radius):
    rng = np.random.default_rng(radius)
    label = rng.integers(0, 2, shape).repeat(3, axis=1).repeat(3, axis=2)[:, : 2 * shape[1], : 2 * shape[2]]
    label[rng.random(label.shape) < 0.05] = IGNORE
    found = _edges(label, radius)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, _by_definition(label, radius))


def test_value_of_one_class_only_the_border_is_an_edge():
    expected = np.ones((7, 8), int)
    expected[2:-2, 2:-2] = 0
    np.testing.assert_array_equal(_edges(np.zeros((1, 7, 8), np.int64))[0], expected)


def test_value_ignored_pixels_are_edges_beside_labelled_ones_only():
    label = np.full((1, 5, 9), IGNORE)
    assert (_edges(label) == 0).all()
    label[0, 2, 4] = 0
    expected = ["000010000", "000111000", "001111100", "000111000", "000010000"]
    assert ["".join(map(str, row)) for row in _edges(label)[0]] == expected
    zero_is_ignored = np.where(label == 0, 7, 0)
    assert ["".join(map(str, row)) for row in _edges(zero_is_ignored, ignore_index=0)[0]] == expected


@pytest.mark.parametrize("size", [(2, 9, 11), (None, None, None)], ids=["known", "unknown"])
def test_parity_static_is_equal(size):
    label = np.random.default_rng(1).integers(0, 2, (2, 3, 4)).repeat(3, axis=1).repeat(3, axis=2)[:, :, :11]
    with static_mode() as (main, _):
        edges = edge_label(paddle.static.data("y", list(size), "int64"), IGNORE)
        (found,) = paddle.static.Executor(paddle.CPUPlace()).run(main, {"y": label}, [edges])
    np.testing.assert_array_equal(found, _by_definition(label, 2))


def test_error_radius():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        _edges(np.zeros((1, 3, 3), np.int64), radius=0)
