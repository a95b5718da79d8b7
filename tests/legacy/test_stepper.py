"""The static stepper: its state, what it refuses, and images of more than one size."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from legacy.pdseg.stepper import StaticPredictor
from shared.config.run_config import OptimizerConfig
from shared.engine.stepper import StepperState
from shared.errors import CheckpointError
from tests.integration.conftest import BACKBONE
from tests.parity import ladder

SPEC = {"type": "FCN", "backbone": BACKBONE}
SHAPE = (2, 3, 32, 48)


@pytest.fixture(scope="module")
def stepper():
    """One step done."""
    static = ladder.make_pair(SPEC, SHAPE).static
    static.train_step(*ladder.images_and_labels(SHAPE), 0.01)
    return static


def same(one, other):
    return ladder.state_differences(one, other) == []


def test_value_state_is_a_copy_and_static_mode_ends(stepper):
    before = stepper.state()
    kept = StepperState(
        {k: v.copy() for k, v in before.model.items()}, {k: v.copy() for k, v in before.optimizer.items()}
    )
    stepper.train_step(*ladder.images_and_labels(SHAPE), 0.01)
    assert same(before, kept)
    assert not same(before, stepper.state())
    stepper.load_state(before)
    assert same(before, stepper.state())
    assert paddle.in_dynamic_mode()


def test_value_a_loaded_state_repeats_the_step(stepper):
    start = stepper.state()
    first = stepper.train_step(*ladder.images_and_labels(SHAPE), 0.01)
    after = stepper.state()
    stepper.load_state(start)
    assert stepper.train_step(*ladder.images_and_labels(SHAPE), 0.01) == first
    assert same(stepper.state(), after)


def test_value_learning_rate_of_zero_moves_statistics_only(stepper):
    before = stepper.state().model
    stepper.train_step(*ladder.images_and_labels(SHAPE), 0.0)
    changed = {name for name, value in stepper.state().model.items() if not np.array_equal(value, before[name])}
    assert changed == {name for name in before if name.endswith(("._mean", "._variance"))}


def test_value_batches_of_another_size_train_the_same_weights():
    """A second Program is built; weights, velocities and learning rate are the first one's."""
    pair = ladder.make_pair(SPEC, SHAPE)
    for shape, lr in ((SHAPE, 0.02), ((1, 3, 64, 32), 0.01), (SHAPE, 0.005), ((1, 3, 64, 32), 0.04)):
        results = [one.train_step(*ladder.images_and_labels(shape), lr) for one in (pair.eager, pair.static)]
        assert results[0] == results[1], shape
    assert same(pair.eager.state(), pair.static.state())


def test_value_a_predictor_takes_any_size():
    pair = ladder.make_pair(SPEC, SHAPE)
    weights = pair.static.state().model
    predictor = StaticPredictor(pair.static.build_network, weights, paddle.CPUPlace(), pair.static.fast_kernels)
    for shape in ((1, 3, 32, 32), (2, 3, 50, 70)):
        images, _ = ladder.images_and_labels(shape)
        logits = predictor.logits(images)
        assert logits.shape == (shape[0], ladder.NUM_CLASSES, *shape[2:])
        assert np.array_equal(logits, pair.eager.logits(images))
        ids = predictor.class_ids(images)
        assert ids.dtype == np.int32
        assert np.array_equal(ids, logits.argmax(axis=1))


def test_value_evaluation_between_steps_changes_nothing(stepper):
    before = stepper.state()
    stepper.logits(ladder.images_and_labels(SHAPE)[0])
    assert same(before, stepper.state())


@pytest.mark.parametrize("how", ["missing", "unexpected", "misshapen"])
@pytest.mark.parametrize("part", ["model", "optimizer"])
def test_error_load_state_names_what_does_not_fit(stepper, part, how):
    state = stepper.state()
    arrays = dict(getattr(state, part))
    name = next(key for key in arrays if key.endswith("head.cls.weight"))
    if how == "missing":
        del arrays[name]
    elif how == "unexpected":
        arrays["elsewhere"] = np.zeros(1, np.float32)
    else:
        arrays[name] = np.zeros((7, 3, 1, 1), np.float32)
    spoiled = StepperState(**{"model": state.model, "optimizer": state.optimizer, part: arrays})
    shown = {"missing": r"cls\.weight", "unexpected": "elsewhere", "misshapen": r"cls\.weight \(file \[7, 3, 1, 1\]"}
    with pytest.raises(CheckpointError, match=rf"the checkpoint's {part} does not fit[\s\S]*{shown[how]}"):
        stepper.load_state(spoiled)


def test_error_initial_weights_of_another_network(stepper):
    weights = {name: value for name, value in stepper.state().model.items() if not name.startswith("head.cls")}
    with pytest.raises(CheckpointError, match="the network's weights does not fit"):
        StaticPredictor(stepper.build_network, weights, paddle.CPUPlace()).logits(np.zeros((1, 3, 32, 32), np.float32))


def test_error_state_of_another_optimizer(stepper):
    adam = ladder.make_pair(SPEC, SHAPE, optimizer=OptimizerConfig("adam")).static
    with pytest.raises(CheckpointError, match=r"missing in the file: .*moment1/"):
        adam.load_state(stepper.state())
