"""Mixed precision where it runs: on a GPU. Not run on the machines this was written on."""

from __future__ import annotations

from functools import partial

import numpy as np
import paddle
import pytest

from dygraph.build import build_losses, build_model
from dygraph.engine.device import choose_place, seed_everything
from dygraph.engine.loss_scaling import make_scaler
from dygraph.engine.precision import Precision, effective_precision
from dygraph.engine.stepper import EagerStepper
from legacy.pdseg.session import weights_of
from legacy.pdseg.stepper import StaticStepper
from shared.config.run_config import PrecisionConfig
from tests.parity import ladder
from tests.zoo import ZOO

pytestmark = pytest.mark.gpu

SHAPE = (2, 3, 64, 96)
#: Of the loss in float32, after four steps: some digits of the low type.
CLOSE = {"float16": 0.02, "bfloat16": 0.1}


@pytest.fixture
def place():
    yield choose_place(True)
    paddle.set_device("cpu")


def make(mode, place, precision, scaler, name="DeepLabV3P"):
    build = partial(build_model, ZOO[name].small_spec, num_classes=ladder.NUM_CLASSES)
    losses = partial(build_losses, ZOO[name].losses, ladder.IGNORE)
    seed_everything(ladder.SEED, True)
    network = build()
    if mode == "eager":
        return EagerStepper(network, losses(), ladder.RECIPE, precision, scaler)
    return StaticStepper(build, weights_of(network), place, losses, ladder.RECIPE, SHAPE, precision, scaler)


@pytest.mark.parametrize("mode", ["eager", "static"])
@pytest.mark.parametrize("level", ["O1", "O2"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_value_training_stays_near_float32(place, mode, level, dtype):
    config = PrecisionConfig(dtype, level=level)
    precision, notes = effective_precision(config, place)
    if notes:
        pytest.skip(notes[0])
    mixed = make(mode, place, precision, make_scaler(config, precision))
    plain = make(mode, place, Precision(), None)
    for index in range(4):
        batch = ladder.images_and_labels(SHAPE, seed=index)
        one, other = mixed.train_step(*batch, ladder.LR), plain.train_step(*batch, ladder.LR)
    assert one.loss == pytest.approx(other.loss, rel=CLOSE[dtype])
    state = mixed.state()
    assert {value.dtype for value in (*state.model.values(), *state.optimizer.values())} == {np.dtype(np.float32)}
    assert mixed.logits(batch[0]).dtype == np.float32


@pytest.mark.parametrize(("writer", "reader"), [("eager", "static"), ("static", "eager")])
def test_parity_a_float16_run_goes_on_in_the_other_mode(place, writer, reader):
    config = PrecisionConfig("float16")
    precision, notes = effective_precision(config, place)
    if notes:
        pytest.skip(notes[0])
    first, second = (make(mode, place, precision, make_scaler(config, precision)) for mode in (writer, reader))
    ladder.steps(first, SHAPE, 2)
    second.load_state(first.state())
    assert ladder.state_differences(first.state(), second.state()) == []
    assert second.state().scaler == first.state().scaler


@pytest.mark.parametrize("mode", ["eager", "static"])
def test_value_a_scale_that_is_too_large_comes_down(place, mode):
    config = PrecisionConfig("float16")
    precision, notes = effective_precision(config, place)
    if notes:
        pytest.skip(notes[0])
    scaler = make_scaler(config, precision)
    stepper = make(mode, place, precision, type(scaler)(initial=2.0**40))
    before = stepper.state().model
    results = ladder.steps(stepper, SHAPE, 30)
    assert results[0].skipped
    assert not results[-1].skipped
    assert stepper.state().scaler["scale"] < 2.0**40
    assert ladder.differences(before, stepper.state().model)
