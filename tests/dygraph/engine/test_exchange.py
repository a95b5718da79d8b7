"""How gradients are put into buckets, and that one process exchanges nothing."""

from __future__ import annotations

import paddle
import pytest

from dygraph.engine.exchange import Exchange, buckets


@pytest.mark.parametrize(
    ("tensors", "most", "wanted"),
    [
        ([("float32", 4), ("float32", 4), ("float32", 4)], 8, [[0, 1], [2]]),
        ([("float32", 4), ("float32", 100), ("float32", 4)], 8, [[0], [1], [2]]),
        ([("float32", 4), ("float16", 2), ("float32", 4), ("float16", 2)], 8, [[0, 2], [1, 3]]),
        ([], 8, []),
    ],
    ids=["full", "large", "by type", "none"],
)
def test_value_buckets(tensors, most, wanted):
    assert buckets(tensors, most) == wanted


def test_value_one_process_keeps_its_tensors():
    gradients = [paddle.ones([2]), paddle.ones([3])]
    exchange = Exchange()
    assert all(a is b for a, b in zip(exchange.average(gradients), gradients))
    assert exchange.mean(gradients[0]) is gradients[0]
    assert exchange.maximum(gradients[0]) is gradients[0]
