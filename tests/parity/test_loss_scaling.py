"""Loss scaling in both modes, on a CPU in float32 with planted infinities: traces by hand, and equal bits."""

from __future__ import annotations

from functools import partial

import numpy as np
import paddle
import pytest
from paddle import nn

import legacy.pdseg.program
from dygraph.build import build_losses
from dygraph.engine.device import seed_everything
from dygraph.engine.loss_scaling import LossScaler
from dygraph.engine.stepper import EagerStepper
from legacy.pdseg.session import weights_of
from legacy.pdseg.stepper import StaticStepper
from shared.config.run_config import OptimizerConfig
from shared.engine.checkpoint import Progress, load_checkpoint, save_checkpoint
from tests.parity import ladder

SHAPE = (2, 3, 9, 11)
MOMENTUM = OptimizerConfig("momentum", momentum=0.9, weight_decay=4e-5)
OPTIMIZERS = {
    "momentum": MOMENTUM,
    "nesterov": OptimizerConfig("momentum", use_nesterov=True, weight_decay=4e-5),
    "adam": OptimizerConfig("adam", weight_decay=4e-5),
    "adamw": OptimizerConfig("adamw", weight_decay=0.01),
}
MODES = ("eager", "static")
BAD = (2, 3, 6)  # of eight steps
SCALER = LossScaler(initial=8.0, growth_interval=2)
TRACE = [8, 16, 8, 4, 4, 8, 4, 4]  # x2 after steps 0 and 1, /2 after 2 and 3, x2 after 4 and 5, /2 after 6


class Tiny(nn.Layer):
    """Convolution, norm, ReLU, convolution: enough for weights, biases, norm parameters and statistics."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2D(4)
        self.head = nn.Conv2D(4, ladder.NUM_CLASSES, 1)

    def forward(self, x):
        return [self.head(nn.functional.relu(self.norm(self.conv(x))))]


def make(mode, optimizer=MOMENTUM, scaler=SCALER):
    losses = partial(build_losses, ladder.CROSS_ENTROPY, ladder.IGNORE)
    seed_everything(ladder.SEED, True)
    network = Tiny()
    if mode == "eager":
        return EagerStepper(network, losses(), optimizer, scaler=scaler)
    weights = weights_of(network)
    return StaticStepper(Tiny, weights, paddle.CPUPlace(), losses, optimizer, SHAPE, scaler=scaler)


def step(stepper, index, bad=BAD):
    """Training step ``index`` on its own batch; in a bad one a pixel is infinite."""
    images, labels = ladder.images_and_labels(SHAPE, seed=index)
    if index in bad:
        images[0, 1, 4, 5] = np.inf
    return stepper.train_step(images, labels, ladder.LR)


def run(stepper, count=8, bad=BAD):
    """Results of ``count`` steps, and the scale after each."""
    results, scales = [], []
    for index in range(count):
        results.append(step(stepper, index, bad))
        scales.append(stepper.state().scaler["scale"])
    return results, scales


def trained(state):
    """What a step may move besides the statistics."""
    return {**{k: v for k, v in state.model.items() if not k.startswith("norm._")}, **state.optimizer}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_parity_scaled_training_with_infinities(optimizer):
    eager, static = (make(mode, OPTIMIZERS[optimizer]) for mode in MODES)
    for index in range(8):
        one, other = step(eager, index), step(static, index)
        assert one.skipped == other.skipped == (index in BAD)
        assert np.array_equal([one.loss, *one.terms], [other.loss, *other.terms], equal_nan=True)
        assert eager.state().scaler == static.state().scaler
        assert ladder.state_differences(eager.state(), static.state()) == []


def test_parity_scaled_network_of_the_zoo():
    shape = (2, 3, 33, 33)
    pair = ladder.make_pair({"type": "FCN", "backbone": {"type": "HRNet_W18_Small_V1"}}, shape, scaler=SCALER)
    for index in range(4):
        images, labels = ladder.images_and_labels(shape, seed=index)
        images[0, 0, 0, 0] = np.inf if index == 1 else 0
        one, other = (stepper.train_step(images, labels, ladder.LR) for stepper in (pair.eager, pair.static))
        assert one == other
        assert one.skipped == (index == 1)
        assert ladder.state_differences(pair.eager.state(), pair.static.state()) == []
    assert pair.static.state().scaler == {"scale": 8.0, "good": 0, "bad": 0}


@pytest.mark.parametrize("mode", MODES)
def test_value_the_scale_follows_the_trace_by_hand(mode):
    results, scales = run(make(mode))
    assert scales == TRACE
    assert [index for index, result in enumerate(results) if result.skipped] == list(BAD)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("scaler", "bad", "scales"),
    [
        (LossScaler(2.0, growth_interval=100), range(8), [1, 1, 1, 1, 1, 1, 1, 1]),
        (LossScaler(64.0, growth_interval=100, bad_steps=2), range(8), [64, 32, 32, 16, 16, 8, 8, 4]),
        (LossScaler(64.0, growth_interval=100, bad_steps=2), (0, 2, 4, 5), [64, 64, 64, 64, 64, 32, 32, 32]),
        (LossScaler(4.0, growth_interval=3), (2,), [4, 4, 2, 2, 2, 4, 4, 4]),
        (LossScaler(4.0, dynamic=False, growth_interval=1), BAD, [4] * 8),
    ],
    ids=["floor", "two-bad", "bad-in-a-row", "skip-restarts-growth", "fixed"],
)
def test_value_growth_shrinkage_floor_and_fixed_number(mode, scaler, bad, scales):
    results, found = run(make(mode, scaler=scaler), bad=bad)
    assert found == scales
    assert [index for index, result in enumerate(results) if result.skipped] == list(bad)


@pytest.mark.parametrize("mode", MODES)
def test_value_defaults_are_gradscalers(mode):
    stepper = make(mode, scaler=LossScaler())
    assert stepper.state().scaler == {"scale": 32768.0, "good": 0, "bad": 0}
    state = stepper.state()
    state.scaler = {"scale": 32768.0, "good": 998, "bad": 0}
    stepper.load_state(state)
    _, scales = run(stepper, 2, bad=())
    assert scales == [32768.0, 65536.0], "the thousandth finite step doubles it"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_value_a_skipped_step_moves_the_statistics_alone(mode, optimizer):
    stepper = make(mode, OPTIMIZERS[optimizer])
    run(stepper, 2)
    before = stepper.state()
    assert step(stepper, 2).skipped
    after = stepper.state()
    assert any(np.any(value) for value in before.optimizer.values()), "there is a velocity to move by"
    assert ladder.differences(trained(before), trained(after)) == []
    assert ladder.differences(before.model, after.model), "batch norm's statistics have seen the batch"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("initial", [2.0**15, 2.0**-3], ids=["large", "small"])
def test_value_scaling_by_a_power_of_two_changes_no_bit(mode, optimizer, initial):
    plain = make(mode, OPTIMIZERS[optimizer], scaler=None)
    scaled = make(mode, OPTIMIZERS[optimizer], scaler=LossScaler(initial, growth_interval=2))
    for index in range(5):
        one, other = step(plain, index, bad=()), step(scaled, index, bad=())
        assert (one.loss, one.terms) == (other.loss, other.terms), "the loss is reported unscaled"
    assert ladder.state_differences(plain.state(), scaled.state()) == []
    assert plain.state().scaler is None


@pytest.mark.parametrize("mode", MODES)
def test_value_skipped_steps_might_not_have_been(mode):
    """Weights and optimiser after the eight steps are those of a run without scaling over the good batches."""
    scaled, plain = make(mode), make(mode, scaler=None)
    run(scaled)
    for index in set(range(8)) - set(BAD):
        step(plain, index)
    assert ladder.differences(trained(plain.state()), trained(scaled.state())) == []


@pytest.mark.parametrize(("writer", "reader"), [("eager", "static"), ("static", "eager"), ("eager", "eager")])
def test_parity_the_scale_goes_on_in_the_other_mode(tmp_path, writer, reader):
    first, second = make(writer), make(reader)
    run(first, 5)
    path = save_checkpoint(tmp_path, first.state(), Progress(5), mode=writer, config={}, keep_max=1)
    state, _, _ = load_checkpoint(path)
    assert state.scaler == {"scale": 4.0, "good": 1, "bad": 0}
    second.load_state(state)
    for index in range(5, 8):
        assert np.array_equal(step(first, index).loss, step(second, index).loss, equal_nan=True)
        assert second.state().scaler == first.state().scaler
    assert second.state().scaler["scale"] == TRACE[-1]
    assert ladder.state_differences(first.state(), second.state()) == []


@pytest.mark.parametrize("mode", MODES)
def test_value_runs_with_and_without_a_scale_resume_each_other(mode):
    plain, fixed = make(mode, scaler=None), make(mode, scaler=LossScaler(4.0, dynamic=False))
    scaled = make(mode)
    run(scaled, 2)
    plain.load_state(scaled.state())
    assert plain.state().scaler is None
    fixed.load_state(scaled.state())
    assert fixed.state().scaler["scale"] == 4.0, "a fixed scale is the config's"
    scaled.load_state(plain.state())
    assert scaled.state().scaler == {"scale": 8.0, "good": 0, "bad": 0}


@pytest.mark.parametrize("mode", MODES)
def test_value_an_infinity_of_another_rank_skips_here(mode):
    """``combine`` says what all ranks found; here another one says yes."""
    stepper = make(mode, scaler=LossScaler(8.0, combine=lambda found: paddle.logical_or(found, ~found)))
    before = stepper.state().model
    results, scales = run(stepper, 2, bad=())
    assert [result.skipped for result in results] == [True, True]
    assert scales == [4.0, 2.0]
    after = stepper.state().model
    assert [name for name in before if not np.array_equal(before[name], after[name])] == [
        "norm._mean",
        "norm._variance",
    ]


def _broken_static(monkeypatch):
    monkeypatch.setattr(legacy.pdseg.program.static.nn, "cond", lambda _, step: step())


def _broken_eager(monkeypatch):
    def apply(self):
        pairs, overflow = self.scaler.unscale(self._gradients(), self._scaling)
        self.scaler.update(pairs, overflow, self._scaling)
        self.optimizer.step()  # on gradients that the update made zero
        return bool(overflow)

    monkeypatch.setattr(EagerStepper, "_apply", apply)


@pytest.mark.parametrize("fault", [_broken_static, _broken_eager], ids=MODES)
@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_value_a_skip_broken_in_one_mode_turns_the_comparison_red(fault, optimizer, monkeypatch):
    fault(monkeypatch)
    eager, static = (make(mode, OPTIMIZERS[optimizer]) for mode in MODES)
    for index in range(3):
        step(eager, index), step(static, index)
        same = ladder.differences(trained(eager.state()), trained(static.state())) == []
        assert same == (index not in BAD)


@pytest.mark.parametrize("initial", [0.0, -1.0, float("inf"), float("nan")])
def test_error_a_scale_is_finite_and_above_zero(initial):
    with pytest.raises(ValueError, match="a finite number above 0"):
        LossScaler(initial)
