"""The eager stepper: losses against Paddle's own cross entropy, and what its state refuses."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.build import build_losses
from dygraph.engine.stepper import EagerPredictor, EagerStepper, set_weights
from shared.config.run_config import Component, LossTerm, OptimizerConfig
from shared.engine.stepper import StepperState
from shared.errors import CheckpointError


class Pixelwise(paddle.nn.Layer):
    """Two maps of logits from one convolution and one batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = paddle.nn.BatchNorm2D(3)
        self.cls = paddle.nn.Conv2D(3, 4, 1)

    def forward(self, x):
        logits = self.cls(self.norm(x))
        return [logits, logits * 2] if self.training else [logits]


def make(optimizer=None):
    paddle.seed(3)
    terms = (LossTerm(Component("CrossEntropyLoss")), LossTerm(Component("CrossEntropyLoss"), 0.4))
    return EagerStepper(Pixelwise(), build_losses(terms, 255), optimizer or OptimizerConfig(weight_decay=1e-4))


def batch(seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((2, 3, 6, 5)).astype(np.float32), rng.integers(0, 4, (2, 6, 5))


def cross_entropy(logits, labels):
    exponentials = np.exp(logits.astype(np.float64))
    share = np.take_along_axis(exponentials, labels[:, None], 1)[:, 0] / exponentials.sum(axis=1)
    return -np.log(share).mean()


def test_value_terms_and_their_sum():
    stepper = make()
    images, labels = batch()
    axes = (0, 2, 3)
    mean, variance = images.mean(axes, keepdims=True), images.var(axes, keepdims=True)
    weight, bias = (p.numpy() for p in (stepper.network.cls.weight, stepper.network.cls.bias))
    normal = (images - mean) / np.sqrt(variance + 1e-5)
    logits = np.einsum("kc,nchw->nkhw", weight[:, :, 0, 0], normal) + bias[:, None, None]
    result = stepper.train_step(images, labels, 0.0)
    wanted = [cross_entropy(logits, labels), 0.4 * cross_entropy(2 * logits, labels)]
    assert result.terms == pytest.approx(wanted, rel=1e-5)
    assert result.loss == pytest.approx(sum(wanted), rel=1e-5)


def test_value_learning_rate_of_zero_moves_statistics_only():
    stepper = make(OptimizerConfig())
    before = stepper.state().model
    stepper.train_step(*batch(), 0.0)
    after = stepper.state().model
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"norm._mean", "norm._variance"}


def test_value_prediction_is_evaluation_mode_and_leaves_the_network_as_it_was():
    stepper = make()
    images, labels = batch()
    stepper.train_step(images, labels, 0.1)
    before = stepper.state().model
    mean, variance = before["norm._mean"], before["norm._variance"]
    scale, shift = before["norm.weight"], before["norm.bias"]
    reshape = (1, 3, 1, 1)
    normal = (images - mean.reshape(reshape)) / np.sqrt(variance.reshape(reshape) + 1e-5)
    normal = normal * scale.reshape(reshape) + shift.reshape(reshape)
    wanted = np.einsum("kc,nchw->nkhw", before["cls.weight"][:, :, 0, 0], normal)
    wanted += before["cls.bias"].reshape(1, 4, 1, 1)
    logits = stepper.logits(images)
    np.testing.assert_allclose(logits, wanted, rtol=1e-4, atol=1e-5)
    ids = stepper.class_ids(images)
    assert ids.dtype == np.int32
    assert np.array_equal(ids, logits.argmax(axis=1))
    assert all(np.array_equal(before[name], value) for name, value in stepper.state().model.items())


def test_value_state_is_a_copy():
    stepper = make()
    state = stepper.state()
    assert state.optimizer == {}, "no step was done"
    kept = {name: value.copy() for name, value in state.model.items()}
    stepper.train_step(*batch(), 0.1)
    assert all(np.array_equal(kept[name], value) for name, value in state.model.items())
    assert set(stepper.state().optimizer) == {
        f"velocity/{n}" for n in ("norm.weight", "norm.bias", "cls.weight", "cls.bias")
    }


@pytest.mark.parametrize("kind", ["momentum", "adam", "adamw"])
def test_value_a_loaded_state_goes_on_in_the_same_bits(kind):
    one, other = make(OptimizerConfig(kind)), make(OptimizerConfig(kind))
    one.train_step(*batch(0), 0.1)
    other.load_state(one.state())
    for stepper in (one, other):
        stepper.train_step(*batch(1), 0.1)
    for part in ("model", "optimizer"):
        a, b = getattr(one.state(), part), getattr(other.state(), part)
        assert sorted(a) == sorted(b)
        assert all(np.array_equal(a[name], b[name]) for name in a)


def spoiled(state, part, how):
    arrays = dict(getattr(state, part))
    name = next(key for key in arrays if key.endswith("cls.weight"))
    if how == "missing":
        del arrays[name]
    elif how == "unexpected":
        arrays["elsewhere"] = np.zeros(1, np.float32)
    else:
        arrays[name] = np.zeros((7, 3, 1, 1), np.float32)
    return StepperState(**{"model": state.model, "optimizer": state.optimizer, part: arrays})


@pytest.mark.parametrize("how", ["missing", "unexpected", "misshapen"])
@pytest.mark.parametrize("part", ["model", "optimizer"])
def test_error_load_state_names_what_does_not_fit(part, how):
    stepper = make()
    stepper.train_step(*batch(), 0.1)
    name = {"missing": r"cls\.weight", "unexpected": "elsewhere", "misshapen": r"cls\.weight \(file \[7, 3, 1, 1\]"}
    with pytest.raises(CheckpointError, match=rf"the checkpoint's {part} does not fit[\s\S]*{name[how]}"):
        stepper.load_state(spoiled(stepper.state(), part, how))


def test_value_set_weights_keeps_the_type():
    network = Pixelwise()
    doubles = {name: value.numpy().astype(np.float64) + 1 for name, value in network.state_dict().items()}
    set_weights(network, doubles, "a file")
    assert EagerPredictor(network).dtype == "float32"
    np.testing.assert_allclose(network.cls.bias.numpy(), doubles["cls.bias"], rtol=1e-6)
    with pytest.raises(CheckpointError, match="a file does not fit"):
        set_weights(network, {}, "a file")
