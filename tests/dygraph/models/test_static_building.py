"""The same layers, building static programs: they lower, train bit-equally and draw no weights anew."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.build import build_losses, build_model, compute_losses
from scripts.oracle.fixed_weights import fixed_array, fixed_input
from shared.config.run_config import Component, LossTerm
from tests.dygraph.networks import SMALL, static_mode, without_dropout

TERMS = [LossTerm(Component("CrossEntropyLoss"))]


def _build(name, data_format):
    return without_dropout(build_model(SMALL[name], num_classes=5, data_format=data_format))


def _batch(size_hw):
    images = fixed_input((2, 3, *size_hw)).astype("float32")
    labels = (fixed_input((2, *size_hw)) > 0).astype("int64")
    labels[0, :3] = 255
    return images, labels


def _optimizer(network):
    parameters = network.parameters()
    return paddle.optimizer.Momentum(0.01, 0.9, parameters=parameters, weight_decay=4e-5)


def _eager_steps(name, data_format, images, labels, steps):
    network = _build(name, data_format)
    start = {k: fixed_array(k, v.shape).astype("float32") for k, v in network.state_dict().items()}
    network.set_state_dict(start)
    optimizer = _optimizer(network)
    losses = []
    for _ in range(steps):
        logits = network(paddle.to_tensor(images))
        (loss,) = compute_losses(build_losses(TERMS), logits, paddle.to_tensor(labels))
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        losses.append(loss.numpy())
    return start, losses, {k: v.numpy() for k, v in network.state_dict().items()}


def _static_steps(name, data_format, image_shape, start, images, labels, steps):
    with static_mode() as (main, startup):
        image = paddle.static.data("image", image_shape, "float32")
        label = paddle.static.data("label", [image_shape[0], *image_shape[2:]], "int64")
        network = _build(name, data_format)
        (loss,) = compute_losses(build_losses(TERMS), network(image), label)
        optimizer = _optimizer(network)
        optimizer.apply_gradients(optimizer.backward(loss, parameters=network.parameters()))
        executor = paddle.static.Executor(paddle.CPUPlace())
        executor.run(startup)
        scope = paddle.static.global_scope()
        tensors = {k: scope.find_var(v.name).get_tensor() for k, v in network.state_dict().items()}
        for key, tensor in tensors.items():
            tensor.set(start[key], paddle.CPUPlace())
        feed = {"image": images, "label": labels}
        losses = [executor.run(main, feed, [loss])[0] for _ in range(steps)]
        return losses, {k: np.array(t) for k, t in tensors.items()}


@pytest.mark.parametrize(
    ("name", "data_format", "size_hw", "image_shape"),
    [
        ("fcn", "NCHW", (64, 96), [2, 3, 64, 96]),
        ("fcn_se", "NHWC", (65, 33), [None, 3, None, None]),
        ("deeplabv3p", "NCHW", (65, 33), [None, 3, None, None]),
        ("deeplabv3p_plain", "NHWC", (64, 96), [2, 3, 64, 96]),
        ("deeplabv3", "NCHW", (64, 96), [2, 3, 64, 96]),
    ],
)
def test_value_static_steps_are_bit_equal(name, data_format, size_hw, image_shape):
    images, labels = _batch(size_hw)
    start, eager_losses, eager_state = _eager_steps(name, data_format, images, labels, steps=2)
    static_losses, static_state = _static_steps(name, data_format, image_shape, start, images, labels, steps=2)
    assert eager_losses[0] != eager_losses[1]
    np.testing.assert_array_equal(static_losses, eager_losses)
    assert [k for k, v in eager_state.items() if not np.array_equal(static_state[k], v)] == []


@pytest.mark.parametrize("name", list(SMALL))
def test_value_weights_are_drawn_in_the_startup_program_only(name):
    with static_mode() as (main, startup):
        network = build_model(SMALL[name], num_classes=5)
        network(paddle.static.data("image", [1, 3, 32, 32], "float32"))
        random = ("gaussian", "uniform", "randint", "truncated_gaussian_random")
        drawn = {True: [], False: []}
        for program, is_main in ((main, True), (startup, False)):
            drawn[is_main] = [op.name() for op in program.global_block().ops if op.name().endswith(random)]
    assert drawn[True] == []
    # Every kernel and matrix; biases, scales and statistics begin constant.
    assert len(drawn[False]) == sum(p.ndim > 1 for p in network.parameters())
