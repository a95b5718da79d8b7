"""A function with a gradient of its own gives it in both modes, and the same bits."""

from __future__ import annotations

import numpy as np
import paddle
import pytest
from paddle import static

from dygraph.engine.static_mode import building, static_mode
from dygraph.layers.own_gradient import with_own_gradient

X, W, G = (
    np.random.default_rng(n).standard_normal(shape, np.float32) for n, shape in enumerate([(4, 3), (3,), (4, 3)])
)


def forward(x, w):
    """Column sums decide nothing but a statistic."""
    return x * w, x.sum(0)


def backward(inputs, statistics, gradient):
    """Not the gradient of ``forward``: each part has a factor by which it is told."""
    x, w = inputs
    (sums,) = statistics
    return gradient * w * paddle.full([1], 2.0), (gradient * x).sum(0) + sums


def eager(trained=(True, True)):
    x, w = (paddle.to_tensor(value, stop_gradient=not own) for value, own in zip((X, W), trained))
    y, sums = with_own_gradient(forward, backward, [x * 1.0, w])
    (y * paddle.to_tensor(G)).sum().backward()
    assert sums.stop_gradient
    return [tensor.numpy() for tensor in (y, sums, x.grad, w.grad) if tensor is not None]


def in_a_program(trained=(True, True)):
    with building() as (main, _):
        x, w, g = static.data("x", X.shape), static.data("w", W.shape), static.data("g", G.shape)
        x.stop_gradient, w.stop_gradient = (not own for own in trained)
        y, sums = with_own_gradient(forward, backward, [x * 1.0, w])
        assert sums.stop_gradient
        gradients = static.gradients([(y * g).sum()], [one for one, own in zip((x, w), trained) if own])
    with static_mode():
        run = static.Executor(paddle.CPUPlace()).run
        found = run(main, feed={"x": X, "w": W, "g": G}, fetch_list=[y, sums, *gradients])
    return main, found


def test_value_the_gradient_is_the_given_one():
    y, sums, of_x, of_w = eager()
    np.testing.assert_array_equal(y, X * W)
    np.testing.assert_allclose(of_x, 2 * G * W, rtol=1e-6)
    np.testing.assert_allclose(of_w, (G * X).sum(0) + X.sum(0), rtol=1e-5)
    np.testing.assert_allclose(sums, X.sum(0), rtol=1e-6)


@pytest.mark.parametrize("trained", [(True, True), (True, False), (False, True)], ids=str)
def test_parity_both_modes_also_of_what_is_frozen(trained):
    wanted, (_, found) = eager(trained), in_a_program(trained)
    assert len(wanted) == len(found) == 2 + sum(trained)
    for one, other in zip(wanted, found):
        np.testing.assert_array_equal(one, other)


def test_value_two_operators_of_a_program():
    main, _ = in_a_program()
    names = [operator.name() for operator in main.global_block().ops]
    assert names.count("pd_op.pylayer") == 2
