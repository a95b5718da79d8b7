"""One and two steps of every optimiser against the formulas of their papers in NumPy, float64."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.engine.optimizer import accumulator_keys, as_float, build_optimizer, trainable_names
from shared.config.run_config import OptimizerConfig
from shared.errors import ConfigError
from tests.parity.ladder import default_dtype

# Paddle's kernels take settings as float32: these are exact in it, so that the formulas can be held to 1e-12
LR, DECAY, MU, BETA1, BETA2, EPSILON = 0.125, 1 / 32, 0.75, 0.875, 31 / 32, 2.0**-20
PARAMETERS = ("0.weight", "0.bias", "1.weight", "1.bias")


def trained(layers):
    """The parameters a step moves; Paddle counts a norm's statistics among its parameters too."""
    return {name: p for name, p in layers.named_parameters() if not p.stop_gradient}


def network():
    """A convolution and a batch norm: weight, bias, and the norm's scale and shift."""
    with default_dtype("float64"):
        layers = paddle.nn.Sequential(paddle.nn.Conv2D(2, 3, 1), paddle.nn.BatchNorm2D(3))
    rng = np.random.default_rng(0)
    for parameter in trained(layers).values():
        parameter.set_value(rng.standard_normal(parameter.shape))
    return layers


def gradients(step):
    rng = np.random.default_rng([1, step])
    shapes = {"0.weight": (3, 2, 1, 1), "0.bias": (3,), "1.weight": (3,), "1.bias": (3,)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def momentum(values, steps, mu, nesterov):
    velocity = dict.fromkeys(values, 0.0)
    for step in range(steps):
        for name, gradient in gradients(step).items():
            gradient = gradient + DECAY * values[name]
            velocity[name] = mu * velocity[name] + gradient
            direction = gradient + mu * velocity[name] if nesterov else velocity[name]
            values[name] = values[name] - LR * direction
    return values


def adam(values, steps, decoupled, beta1=BETA1, beta2=BETA2, epsilon=EPSILON):
    first, second = (dict.fromkeys(values, 0.0) for _ in range(2))
    for step in range(steps):
        for name, gradient in gradients(step).items():
            value = values[name]
            if decoupled:
                value = value * (1 - LR * DECAY)
            else:
                gradient = gradient + DECAY * value
            first[name] = beta1 * first[name] + (1 - beta1) * gradient
            second[name] = beta2 * second[name] + (1 - beta2) * gradient**2
            t = step + 1
            # Paddle's epsilon stands beside the uncorrected root: sqrt(1 - beta2^t) scales it, as in the paper's
            # note on an efficient order of computation
            scale = LR * np.sqrt(1 - beta2**t) / (1 - beta1**t)
            root = np.sqrt(second[name]) + epsilon * np.sqrt(1 - beta2**t)
            values[name] = value - scale * first[name] / root
    return values


CASES = {
    "momentum": (OptimizerConfig("momentum", MU, weight_decay=DECAY), lambda v, n: momentum(v, n, MU, False)),
    "nesterov": (OptimizerConfig("momentum", MU, True, weight_decay=DECAY), lambda v, n: momentum(v, n, MU, True)),
    "adam": (OptimizerConfig("adam", 0, False, BETA1, BETA2, EPSILON, DECAY), lambda v, n: adam(v, n, False)),
    "adamw": (OptimizerConfig("adamw", 0, False, BETA1, BETA2, EPSILON, DECAY), lambda v, n: adam(v, n, True)),
}


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("name", CASES)
def test_value_steps_equal_the_formula(name, steps):
    config, formula = CASES[name]
    layers = network()
    named = trained(layers)
    assert tuple(named) == PARAMETERS
    wanted = formula({key: parameter.numpy() for key, parameter in named.items()}, steps)
    optimizer = build_optimizer(config, layers, lr=0.0)
    optimizer.set_lr(LR)
    for step in range(steps):
        for key, gradient in gradients(step).items():
            named[key].grad = paddle.to_tensor(gradient)
        optimizer.step()
        optimizer.clear_grad()
    for key in PARAMETERS:
        np.testing.assert_allclose(named[key].numpy(), wanted[key], rtol=1e-12, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("name", CASES)
def test_value_decay_reaches_biases_and_norms(name):
    """With gradients of zero only the decay moves anything."""
    layers = network()
    before = {key: parameter.numpy() for key, parameter in trained(layers).items()}
    optimizer = build_optimizer(CASES[name][0], layers, lr=LR)
    for parameter in trained(layers).values():
        parameter.grad = paddle.zeros_like(parameter)
    optimizer.step()
    for key, parameter in trained(layers).items():
        assert np.all(np.sign(before[key] - parameter.numpy()) == np.sign(before[key])), key


def test_value_a_frozen_parameter_stays_and_has_no_state():
    layers = network()
    layers[0].weight.stop_gradient = True
    assert list(trainable_names(layers)) == ["0.bias", "1.weight", "1.bias"]
    keys = accumulator_keys(OptimizerConfig("adam"), trainable_names(layers))
    assert len(keys) == 4 * 3
    assert keys["moment2/1.bias"] == ("moment2", layers[1].bias.name)
    before = layers[0].weight.numpy()
    optimizer = build_optimizer(OptimizerConfig("momentum", weight_decay=DECAY), layers, lr=LR)
    layers(paddle.ones([2, 2, 4, 4], "float64")).square().sum().backward()
    optimizer.step()
    assert np.array_equal(layers[0].weight.numpy(), before)


def test_error_unknown_optimizer():
    with pytest.raises(ConfigError, match=r"optimizer\.type: got 'lamb', expected one of momentum, adam, adamw"):
        build_optimizer(OptimizerConfig("lamb"), network(), lr=0.1)


@pytest.mark.parametrize("array", [np.array(1.5), np.array([1.5]), np.array([[1.5]], np.float32)])
def test_value_as_float(array):
    assert as_float(array) == 1.5
    assert type(as_float(array)) is float
