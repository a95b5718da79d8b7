"""EMANet's iterations against NumPy; its bases, which no gradient moves."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.build import build_model
from dygraph.engine.optimizer import trainable_names
from dygraph.models.emanet import EMAttention
from scripts.oracle.fixed_weights import fixed_input
from shared.errors import ConfigError
from tests.dygraph.networks import default_dtype, static_mode
from tests.parity import ladder
from tests.zoo import ZOO

CHANNELS, BASES, MOMENTUM = 6, 4, 0.1
SMALL = ZOO["EMANet"].small_spec


def _unit(x):
    return x / np.linalg.norm(x, axis=0, keepdims=True)


def _iterate(pixels, bases, count):
    """Algorithm 1 of the paper for one image: ``pixels`` ``[P, C]``, ``bases`` ``[C, K]``."""
    for _ in range(count):
        likeness = np.exp(pixels @ bases)
        assigned = likeness / likeness.sum(axis=1, keepdims=True)  # expectation: every pixel's shares add up to 1
        bases = np.stack(  # maximisation: each base is the mean of the pixels, weighted by their shares in it
            [np.average(pixels, axis=0, weights=assigned[:, k]) for k in range(assigned.shape[1])], axis=1
        )
        bases = _unit(bases)
    return assigned, bases


def _block(stage_num=1, data_format="NCHW"):
    with default_dtype("float64"):
        block = EMAttention(CHANNELS, BASES, stage_num, MOMENTUM, data_format)
    block.mu.set_value(_unit(fixed_input((CHANNELS, BASES)))[None])
    return block


@pytest.mark.parametrize("stage_num", [1, 3])
@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_value_iterations(stage_num, data_format):
    x = fixed_input((2, CHANNELS, 3, 5))
    block = _block(stage_num, data_format)
    start = block.mu.numpy()
    block.train()
    axes, back = ((0, 1, 2, 3), (0, 1, 2, 3)) if data_format == "NCHW" else ((0, 2, 3, 1), (0, 3, 1, 2))
    found = block(paddle.to_tensor(x.transpose(axes))).numpy().transpose(back)

    images = [_iterate(image.reshape(CHANNELS, 15).T, start[0], stage_num) for image in x]
    expected = np.stack([(bases @ assigned.T).reshape(CHANNELS, 3, 5) for assigned, bases in images])
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    mean = _unit(np.mean([bases for _, bases in images], axis=0))
    moved = (1 - MOMENTUM) * start[0] + MOMENTUM * mean
    np.testing.assert_allclose(block.mu.numpy()[0], moved, rtol=1e-10, atol=1e-12)


def test_value_evaluation_leaves_the_bases():
    block = _block()
    start = block.mu.numpy()
    block.eval()
    block(paddle.to_tensor(fixed_input((2, CHANNELS, 3, 5))))
    np.testing.assert_array_equal(block.mu.numpy(), start)


def test_grad_none_through_the_iterations():
    x = paddle.to_tensor(fixed_input((2, CHANNELS, 3, 5)), stop_gradient=False)
    assert _block()(x).stop_gradient
    network = build_model(SMALL, num_classes=3)
    weights = {name for name in network.state_dict() if not name.endswith(("_mean", "_variance"))}
    frozen = {"head.emau.mu", "head.ema_mid_conv.weight", "head.ema_mid_conv.bias"}
    assert weights - set(trainable_names(network)) == frozen


def test_value_bases_begin_with_length_one_nearly():
    paddle.seed(1)
    lengths = np.linalg.norm(EMAttention(512, 64, 3, MOMENTUM, "NCHW").mu.numpy()[0], axis=0)
    np.testing.assert_allclose(lengths, 1, atol=0.15)  # five standard deviations of the length of a normal vector


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_parity_bases_after_five_steps(data_format):
    shape = (2, 3, 33, 49)
    pair = ladder.make_pair(SMALL, shape, losses=ZOO["EMANet"].losses, data_format=data_format)
    start = pair.eager.state().model["head.emau.mu"]
    for stepper in (pair.eager, pair.static):
        ladder.steps(stepper, shape, 5)
    eager, static = (stepper.state().model["head.emau.mu"] for stepper in (pair.eager, pair.static))
    np.testing.assert_array_equal(eager, static)
    assert np.abs(eager - start).max() > 0.01


def test_value_one_process_communicates_nothing():
    with static_mode() as (main, _):
        block = EMAttention(CHANNELS, BASES, 1, MOMENTUM, "NCHW")
        block.train()
        block(paddle.static.data("x", [2, CHANNELS, 3, 5], "float32"))
        names = [operator.name() for operator in main.global_block().ops]
    assert "pd_op.lerp_" in names  # the bases are moved ...
    assert not [name for name in names if "reduce" in name]  # ... by this process alone
    # With this operator Paddle adds up gradients in the Program's order, which is not that of eager mode.
    assert "pd_op.assign_out_" not in names


@pytest.mark.parametrize("wrong", [{"stage_num": 0}, {"num_bases": 0}])
def test_error_no_iterations_or_bases(wrong):
    with pytest.raises(ConfigError, match="stage_num and num_bases"):
        build_model({**SMALL, **wrong}, num_classes=3)
