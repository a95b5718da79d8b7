"""Steps and predictions by ``dygraph.kernels``: other bits than those of Paddle's kernels, so that float64 judges both.

That the two modes have equal bits with them is what ``test_every_network.py`` shows.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import paddle
import pytest
from safetensors.numpy import save_file

from dygraph.build import build_losses, build_model
from dygraph.engine import session as eager_session
from dygraph.engine.cpu_kernels import uses_fast_kernels
from dygraph.engine.device import seed_everything
from dygraph.engine.precision import FULL, Precision
from dygraph.engine.session import initial_network
from dygraph.engine.stepper import EagerStepper
from dygraph.kernels.choice import lacking
from legacy.pdseg import session as static_session
from shared.engine.stepper import StepperState
from shared.errors import ConfigError
from shared.registry import MODELS
from tests.parity import ladder
from tests.parity.runs import HEAVY, tiny_run
from tests.zoo import ZOO

QUICK = ("BiSeNetV2", "FastSCNN", "FCN")
SHAPE = (2, 3, 33, 49)
SEEDS = (11, 12, 13)
_CPU = Path("/proc/cpuinfo")
# Without AVX-512 oneDNN adds the products of one output in a single chain, here as in PyTorch: a 3x3 convolution of
# 2048 channels is 2.4e-6 off there and 3e-7 off by MKL, which adds in blocks. Half precision would be off by 1e-3.
ROUNDING = 1e-7 if _CPU.is_file() and "avx512f" in _CPU.read_text(encoding="utf-8") else 2e-6

needs_kernels = pytest.mark.skipif(lacking() is not None, reason=str(lacking()))


def _marks(name):
    if name in QUICK:
        return ()
    return (pytest.mark.slow, pytest.mark.repeats) if name in HEAVY else (pytest.mark.slow,)


NETWORKS = [pytest.param(name, marks=_marks(name)) for name in sorted(MODELS)]


def _stepper(name, seed, dtype="float32", fast_kernels=False):
    with ladder.default_dtype(dtype):
        seed_everything(seed, True)
        network = build_model(ZOO[name].small_spec, num_classes=ladder.NUM_CLASSES)
        losses = build_losses(ZOO[name].losses, ladder.IGNORE)
        return EagerStepper(network, losses, ladder.RECIPE, fast_kernels=fast_kernels)


def _after_a_step(stepper, shape, dtype="float32"):
    loss = ladder.steps(stepper, shape, 1, dtype)[0].loss
    return loss, stepper.state().model


@needs_kernels
@pytest.mark.parametrize("name", NETWORKS)
def test_value_a_step_is_as_near_to_float64_as_with_paddles_kernels(name):
    """From one of three beginnings: a ReLU near zero may fall to either side by chance, and all after it with it."""
    assert any(_is_as_near(name, seed) for seed in SEEDS)


def _is_as_near(name, seed):
    shape = (2, 3, 17, 33) if name in HEAVY else SHAPE
    plain, fast = _stepper(name, seed), _stepper(name, seed, fast_kernels=True)
    exact = _stepper(name, seed, "float64")
    start = plain.state().model
    for other in (fast, exact):
        other.load_state(StepperState(start, {}))
    expected_loss, expected = _after_a_step(exact, shape, "float64")
    losses, models = zip(*(_after_a_step(one, shape) for one in (plain, fast)))
    assert ladder.differences(*models), "the same bits, as if they were the same kernels"
    off = [abs(loss - expected_loss) for loss in losses]
    wrong = [_distance(model, expected) for model in models]
    near_loss = off[1] <= 3 * off[0] + 1e-5 * expected_loss
    return near_loss and wrong[1] <= 3 * wrong[0] + 3e-4 * _distance(start, expected)


@needs_kernels
@pytest.mark.parametrize("name", NETWORKS)
def test_value_a_prediction_is_as_near_to_float64_as_with_paddles_kernels(name):
    plain, fast, exact = _stepper(name, 11), _stepper(name, 11, fast_kernels=True), _stepper(name, 11, "float64")
    start = plain.state().model
    for other in (fast, exact):
        other.load_state(StepperState(start, {}))
    images, _ = ladder.images_and_labels((1, 3, 33, 49), "float64")
    expected = exact.logits(images)
    wrong = [np.linalg.norm(one.logits(images) - expected) for one in (plain, fast)]
    assert 0 < wrong[1] <= 3 * wrong[0] + ROUNDING * np.linalg.norm(expected)


def _distance(one, other):
    return np.sqrt(sum(np.sum((one[key].astype(np.float64) - other[key]) ** 2) for key in other))


def _asking(tmp_path, onednn, data_format="NCHW"):
    run = tiny_run("FCN", tmp_path, data_format)
    return run.replace(train=replace(run.train, onednn=onednn))


CANNOT = [
    ("a GPU", "NCHW", FULL, "the run is on a GPU"),
    (paddle.CPUPlace(), "NHWC", FULL, "with data_format: NHWC"),
    (paddle.CPUPlace(), "NCHW", Precision("bfloat16"), "the precision is bfloat16 at level O1"),
]


@pytest.mark.parametrize(("place", "data_format", "precision", "words"), CANNOT)
def test_error_where_a_run_that_asks_for_them_cannot_have_them(tmp_path, place, data_format, precision, words):
    with pytest.raises(ConfigError, match=rf"onednn: got true, but {words}.*; leave onednn .* or set it to false"):
        uses_fast_kernels(_asking(tmp_path, True, data_format), place, precision)
    for left_open in (None, False):
        assert not uses_fast_kernels(_asking(tmp_path, left_open, data_format), place, precision)


def test_error_a_paddle_that_lacks_something(monkeypatch, tmp_path):
    monkeypatch.setattr("dygraph.engine.cpu_kernels.lacking", lambda: "this Paddle carries no oneDNN 3")
    with pytest.raises(ConfigError, match="but this Paddle carries no oneDNN 3; leave"):
        uses_fast_kernels(_asking(tmp_path, True), paddle.CPUPlace(), FULL)
    assert not uses_fast_kernels(_asking(tmp_path, None), paddle.CPUPlace(), FULL)


@needs_kernels
@pytest.mark.parametrize(("onednn", "expected"), [(None, True), (True, True), (False, False)])
def test_value_a_float32_run_on_a_cpu_has_what_it_asks_for(tmp_path, onednn, expected):
    assert uses_fast_kernels(_asking(tmp_path, onednn), paddle.CPUPlace(), FULL) is expected


@needs_kernels
@pytest.mark.parametrize("mode", [eager_session, static_session])
@pytest.mark.parametrize(("onednn", "expected"), [(None, True), (False, False)])
def test_value_val_and_predict_compute_as_the_evaluations_of_a_training_run(
    tmp_path, monkeypatch, mode, onednn, expected
):
    kept = []
    monkeypatch.setattr("dygraph.engine.session.keep_freed_memory", lambda **sizes: kept.append(sizes))
    run = _asking(tmp_path, onednn)
    weights = tmp_path / "model.safetensors"
    save_file({name: value.numpy() for name, value in initial_network(run, 0).state_dict().items()}, weights)
    predictor = mode.make_predictor(run, str(weights), False)
    stepper = mode.training_mode(run, False).make_stepper(run, 0, SHAPE)
    assert len(kept) == 1, "once, and not by training"
    assert predictor.fast_kernels is stepper.fast_kernels is expected
    images, _ = ladder.images_and_labels(SHAPE)
    np.testing.assert_array_equal(predictor.logits(images), stepper.logits(images))
