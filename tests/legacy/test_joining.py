"""Joined operators of a Program against those of Paddle whose place they take."""

from __future__ import annotations

from collections import Counter

import numpy as np
import paddle
import pytest
from paddle import nn, static
from paddle.autograd import ir_backward

from dygraph.engine.loss_scaling import LossScaler
from dygraph.engine.static_mode import building, static_mode
from dygraph.kernels import cross_entropy
from dygraph.kernels.choice import lacking
from legacy.pdseg import joining
from legacy.pdseg.joining import join_operators
from shared.config.run_config import OptimizerConfig
from tests.parity import ladder
from tests.zoo import ZOO

pytestmark = pytest.mark.skipif(lacking() is not None, reason=str(lacking()))

SHAPE = (2, 3, 32, 48)
OPTIMIZERS = {
    "momentum": OptimizerConfig("momentum", momentum=0.9, weight_decay=4e-5),
    "nesterov": OptimizerConfig("momentum", momentum=0.8, weight_decay=0.0, use_nesterov=True),
    "adam": OptimizerConfig("adam", beta1=0.8, epsilon=1e-7, weight_decay=1e-3),
    "adamw": OptimizerConfig("adamw", beta2=0.95, weight_decay=0.1),
}

HRNET = (OPTIMIZERS["momentum"], None, "FCN")


def _stepper(optimizer, scaler=None, network="DeepLabV3P"):
    return ladder.make_pair(ZOO[network].small_spec, SHAPE, optimizer=optimizer, scaler=scaler).static


def _branch(stepper):
    (branch,) = (op for op in stepper.training.main.global_block().ops if op.name() == "pd_op.if")
    return [op.name() for op in branch.as_if_op().true_block().ops]


def _plain(monkeypatch, *args):
    """As it is where kernels are taken, and nothing is joined."""
    with monkeypatch.context() as patch:
        patch.setattr(joining, "_update_groups", lambda _: [])
        patch.setattr(joining, "_JOINED", {})
        return _stepper(*args)


@pytest.mark.parametrize(
    "optimizer",
    ["momentum", "adamw", *(pytest.param(name, marks=pytest.mark.slow) for name in ("nesterov", "adam"))],
)
def test_value_three_steps_have_the_bits_of_paddles_branch(monkeypatch, optimizer):
    joined, plain = _stepper(OPTIMIZERS[optimizer]), _plain(monkeypatch, OPTIMIZERS[optimizer])
    updates = [name for name in _branch(plain) if name in ("pd_op.momentum_", "pd_op.adam_", "pd_op.adamw_")]
    assert len(updates) == len(plain.training.gradients) > 100
    own = _branch(joined)
    assert [name.startswith(f"py_op.dualseg_{updates[0][6:-1]}_") for name in own].count(True) == 1
    assert not set(updates) & set(own)
    start = joined.state()
    plain.load_state(start)
    for one in (joined, plain):
        ladder.steps(one, SHAPE, 3)
    assert len(ladder.differences(start.optimizer, joined.state().optimizer)) == len(start.optimizer)
    assert ladder.state_differences(joined.state(), plain.state()) == []


def test_value_a_network_is_a_few_joined_operators(monkeypatch):
    joined, plain = (
        Counter(_kind(op) for op in one.training.main.global_block().ops)
        for one in (_stepper(*HRNET), _plain(monkeypatch, *HRNET))
    )
    assert plain["batch_norm_"] == plain["batch_norm_grad"] > 50
    assert sum(joined[name] for name in joined if name.startswith("conv2d_batch_norm")) > 0.9 * plain["batch_norm_"]
    assert sum(joined[name] for name in joined if name.endswith("slope_conv2d_slope")) > 30
    assert not {"batch_norm_", "batch_norm_grad", "relu", "relu_grad", "add_n"} & set(joined)
    # the lists of what is summed went with the sums
    assert joined["combine"] == plain["combine"] - plain["add_n"]


def _kind(op):
    """``batch_norm_`` or, of ``py_op.dualseg_conv2d_relu_7``, ``conv2d_relu``."""
    name = op.name()
    return name.partition("dualseg_")[2].rpartition("_")[0] if name.startswith("py_op.") else name.partition(".")[2]


def test_value_the_gradient_of_a_sum_reads_neither_of_the_two():
    """It has their shape, and they may be gone: a third of the memory of a step of HRNet."""
    with building() as (main, _):
        x = static.data("x", [2, 4, 5, 6], "float32")
        x.stop_gradient = False
        waves = paddle.sin(x)  # whose gradient reads x alone
        total = nn.functional.relu(nn.functional.relu(x) + waves)
        gradients = ir_backward.grad(total.mean(), [x])
        join_operators(main, gradients)
    assert [_kind(op) for op in waves.all_used_ops()] == ["relu_add"]
    assert any("add_slope" in _kind(op) for op in main.global_block().ops)


def test_value_a_relu_writes_over_what_it_reads(monkeypatch):
    """As Paddle has it in a Program; its gradient too, where nothing else reads the gradient it is given."""
    called = Counter()

    def counting(name):
        plain = getattr(paddle._C_ops, name)

        def call(*given):
            called[name] += paddle.in_dynamic_mode()
            return plain(*given)

        return call

    for name in ("relu", "relu_", "relu_grad", "relu_grad_"):
        monkeypatch.setattr(paddle._C_ops, name, counting(name))
    stepper = _stepper(*HRNET)
    ladder.steps(stepper, SHAPE, 1)
    assert called["relu_"] > 50
    assert called["relu"] == 0
    assert called["relu_grad_"] > 9 * called["relu_grad"]


@pytest.mark.parametrize("backwards", [False, True])
def test_value_a_sum_with_a_bias_and_a_sum_that_is_read_again(backwards):
    """What may be overwritten, and what may not: another size, something still to be read, something asked for."""
    rng = np.random.default_rng(0)
    given = {"x": rng.standard_normal((2, 4, 5, 6)), "bias": rng.standard_normal((4, 1, 1))}
    feed = {name: value.astype(np.float32) for name, value in given.items()}
    with building() as (main, _):
        x, bias = (static.data(name, value.shape, "float32") for name, value in feed.items())
        low = nn.functional.relu(bias)
        total = paddle.add(*((low, nn.functional.relu(x)) if backwards else (nn.functional.relu(x), low)))
        twice = nn.functional.relu(total)
        asked = [total, paddle.add(twice, total), paddle.add(twice, twice), twice, paddle.abs(x)]
        now = join_operators(main, asked)
        assert [op.name().startswith("py_op.") for op in main.global_block().ops].count(True) == 1
        asked = [now(value) for value in asked]
    found = _run(main, feed, asked)
    total = np.maximum(feed["x"], 0) + np.maximum(feed["bias"], 0)
    for value, expected in zip(found, (total, 2 * total, 2 * total, total, np.abs(feed["x"]))):
        assert np.array_equal(value, expected)


def test_value_a_loss_writes_over_its_logits_and_its_gradient_over_the_softmax(monkeypatch):
    """Those are the largest maps of a network, at the moment when it holds most."""
    written = []
    losses, gradient = cross_entropy._losses, cross_entropy._gradient

    def counting_losses(logits, softmax, *others):
        written.append(("softmax", logits.data_ptr() == softmax.data_ptr()))
        return losses(logits, softmax, *others)

    def counting_gradient(multiply, label, softmax, *others):
        result = gradient(multiply, label, softmax, *others)
        written.append(("gradient", result.data_ptr() == softmax.data_ptr()))
        return result

    monkeypatch.setattr(cross_entropy, "_losses", counting_losses)
    monkeypatch.setattr(cross_entropy, "_gradient", counting_gradient)
    ladder.steps(_stepper(*HRNET), SHAPE, 1)
    assert written == [("softmax", True), ("gradient", True)]


@pytest.mark.parametrize("why", ["nothing else", "asked for", "read again", "another loss"])
def test_value_logits_that_something_else_needs_are_not_written_over(why):
    rng = np.random.default_rng(0)
    feed = {"x": rng.standard_normal((2, 3, 8, 9), np.float32), "label": rng.integers(0, 3, (2, 1, 8, 9))}
    with building() as (main, _):
        x, label = (static.data(name, value.shape, value.dtype.name) for name, value in feed.items())
        x.stop_gradient = False
        logits = nn.functional.relu(x)
        asked = [_pixel_losses(logits, label)]
        if why == "asked for":
            asked.append(logits)
        elif why == "read again":
            asked.append(paddle.sin(logits))
        elif why == "another loss":
            asked.append(_pixel_losses(logits, 2 - label))
        asked += ir_backward.grad([one.sum() for one in asked], [x])
        expected = _run(main, feed, asked)
        now = join_operators(main, asked)
        assert any("cross_entropy" in op.name() and "py_op" in op.name() for op in main.global_block().ops)
        found = _run(main, feed, [now(value) for value in asked])
    for value, plain in zip(found, expected):
        np.testing.assert_allclose(value, plain, rtol=1e-5, atol=1e-6)


def _pixel_losses(logits, label):
    return nn.functional.cross_entropy(logits, label, ignore_index=255, reduction="none", axis=1)


def _run(main, feed, asked):
    with static_mode(), static.scope_guard(static.Scope()):
        return static.Executor(paddle.CPUPlace()).run(main, feed=feed, fetch_list=asked)


def test_value_a_step_that_overflows_is_skipped():
    """The scale is infinite, and so are the gradients; only batch norm's statistics move."""
    stepper = _stepper(OPTIMIZERS["momentum"], LossScaler(initial=2.0**127, dynamic=False))
    start = stepper.state()
    (result,) = ladder.steps(stepper, SHAPE, 1)
    assert result.skipped
    moved, still = stepper.state(), stepper.training.names.statistics
    weights = {key: value for key, value in start.model.items() if key not in still}
    assert ladder.differences(weights, {key: moved.model[key] for key in weights}) == []
    assert ladder.differences(start.optimizer, moved.optimizer) == []


def test_error_what_an_update_raises_is_raised(monkeypatch):
    """In an executor, which lets only a SystemError through."""
    plain = paddle._C_ops.momentum_

    def broken(*given):
        if paddle.in_dynamic_mode():
            raise RuntimeError("no such velocity")
        return plain(*given)

    monkeypatch.setattr(paddle._C_ops, "momentum_", broken)
    stepper = _stepper(OPTIMIZERS["momentum"])
    with pytest.raises(RuntimeError, match="no such velocity"):
        ladder.steps(stepper, SHAPE, 1)
