"""Batch norms that a backward pass computes again: what is no longer kept, and that no bit changes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import paddle
import pytest
from paddle import nn, static
from paddle.autograd import ir_backward

from dygraph.engine.static_mode import building, static_mode
from dygraph.kernels.choice import lacking
from legacy.pdseg import recomputing
from legacy.pdseg.joining import join_operators
from legacy.pdseg.recomputing import recompute_norms
from tests.parity import ladder
from tests.zoo import ZOO

pytestmark = pytest.mark.skipif(lacking() is not None, reason=str(lacking()))

SHAPE = (2, 3, 32, 48)


def _stepper(network):
    return ladder.make_pair(ZOO[network].small_spec, SHAPE, losses=ZOO[network].losses).static


def _kinds(program):
    return Counter(op.name().partition("dualseg_")[2].rpartition("_")[0] for op in program.global_block().ops)


@pytest.mark.parametrize("network", ["DeepLabV3P", "BiSeNetV2"])
def test_value_three_steps_have_the_bits_of_maps_that_are_kept(monkeypatch, network):
    """Running statistics among them, which move once a step."""
    kept = _stepper(network)
    monkeypatch.setattr(recomputing, "_LEAST_NUMBERS", 1)
    again = _stepper(network)
    name = "batch_norm_conv2d_slope"
    assert _kinds(again.training.main)[name] - _kinds(kept.training.main)[name] >= 2
    start = kept.state()
    again.load_state(start)
    assert ladder.steps(kept, SHAPE, 3) == ladder.steps(again, SHAPE, 3)
    assert ladder.state_differences(kept.state(), again.state()) == []
    assert ladder.differences(start.model, kept.state().model)


CASES = {  # what follows the first convolution, and whether the map from its batch norm is still kept
    "a convolution": (lambda y, conv: conv(y), False),
    "a ReLU first": (lambda y, conv: conv(nn.functional.relu(y)), True),
    "something else too": (lambda y, conv: conv(y).sum() + paddle.sin(y).sum(), True),
    "two convolutions": (lambda y, conv: conv(y) + conv(paddle.abs(y)) + conv(y), True),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("least", [1, 2 * 4 * 6 * 7 + 1], ids=["large", "small"])
def test_value_what_is_kept(monkeypatch, case, least):
    monkeypatch.setattr(recomputing, "_LEAST_NUMBERS", least)
    follow, is_kept = CASES[case]
    feed = {"x": np.random.default_rng(0).standard_normal((2, 3, 6, 7), np.float32)}
    with building() as (main, startup):
        x = static.data("x", [2, 3, 6, 7], "float32")
        x.stop_gradient = False
        first, norm, second = nn.Conv2D(3, 4, 1), nn.BatchNorm2D(4), nn.Conv2D(4, 2, 1)
        normed = norm(first(x))
        gradients = ir_backward.grad(follow(normed, second).sum(), [x, first.weight, second.weight])
        mean = norm._mean.name
        expected = _run(main, startup, feed, gradients, mean)
        recompute_norms(main)
        again = [op for op in main.global_block().ops if op.name() == "pd_op.batch_norm"]
        assert len(again) == int(least == 1 and not is_kept)
        assert not again or [op.name() for op in normed.all_used_ops()] == ["pd_op.conv2d"]
        now = join_operators(main, gradients)
        found = _run(main, startup, feed, [now(one) for one in gradients], mean)
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def _run(main, startup, feed, asked, mean):
    """What is asked for, and the running mean after it, from the same weights each time."""
    with static_mode(), static.scope_guard(static.Scope()):
        paddle.seed(1)
        startup.random_seed = 1
        executor = static.Executor(paddle.CPUPlace())
        executor.run(startup)
        found = executor.run(main, feed=feed, fetch_list=asked)
        return [*found, np.array(static.global_scope().find_var(mean).get_tensor())]
