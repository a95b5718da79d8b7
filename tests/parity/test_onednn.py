"""``onednn: true``: convolutions in oneDNN. Bits differ from eager mode's, so that float64 is the judge of both."""

from __future__ import annotations

from functools import partial

import numpy as np
import paddle
import pytest

from dygraph.build import build_losses, build_model
from dygraph.engine.device import seed_everything
from dygraph.engine.stepper import EagerStepper
from legacy.pdseg.onednn import require_onednn
from legacy.pdseg.stepper import StaticStepper
from shared.engine.stepper import StepperState
from shared.errors import ConfigError
from shared.registry import MODELS
from tests.parity import ladder
from tests.parity.runs import HEAVY, tiny_run
from tests.zoo import ZOO

QUICK = ("BiSeNetV2", "FastSCNN", "FCN")
SHAPE = (2, 3, 33, 49)
KERNELS = {  # the operator, and whether its kernel is a pixel
    ("onednn_op.conv2d", False),
    ("onednn_op.conv2d_grad", False),
    ("pd_op.conv2d", True),
    ("pd_op.conv2d_grad", True),
}


def _marks(name):
    if name in QUICK:
        return ()
    return (pytest.mark.slow, pytest.mark.repeats) if name in HEAVY else (pytest.mark.slow,)


NETWORKS = [pytest.param(name, marks=_marks(name)) for name in sorted(MODELS)]


def _eager(name, dtype):
    with ladder.default_dtype(dtype):
        seed_everything(ladder.SEED, True)
        network = build_model(ZOO[name].small_spec, num_classes=ladder.NUM_CLASSES)
        return EagerStepper(network, build_losses(ZOO[name].losses, ladder.IGNORE), ladder.RECIPE)


def _static(name, weights, shape):
    return StaticStepper(
        partial(build_model, ZOO[name].small_spec, num_classes=ladder.NUM_CLASSES),
        weights,
        paddle.CPUPlace(),
        partial(build_losses, ZOO[name].losses, ladder.IGNORE),
        ladder.RECIPE,
        shape,
        onednn=True,
    )


def _kernels(stepper):
    """Of every convolution that is neither depthwise nor transposed, as ``KERNELS``."""
    operators = stepper.training.main.global_block().ops
    return {
        (op.name(), op.operand_source(1).shape[2:] == [1, 1])
        for op in operators
        if op.name().split(".")[-1] in ("", "conv2d", "conv2d_grad")
    }


def _after_a_step(stepper, shape, dtype="float32"):
    loss = ladder.steps(stepper, shape, 1, dtype)[0].loss
    return loss, stepper.state().model


@pytest.mark.parametrize("name", NETWORKS)
def test_value_a_step_is_as_near_to_float64_as_eager_modes(name):
    shape = (2, 3, 17, 33) if name in HEAVY else SHAPE
    plain, exact = _eager(name, "float32"), _eager(name, "float64")
    start = plain.state().model
    exact.load_state(StepperState(start, {}))
    onednn = _static(name, start, shape)
    assert _kernels(onednn) <= KERNELS
    assert ("onednn_op.conv2d", False) in _kernels(onednn)

    expected_loss, expected = _after_a_step(exact, shape, "float64")
    losses, models = zip(*(_after_a_step(one, shape) for one in (plain, onednn)))
    off = [abs(loss - expected_loss) for loss in losses]
    assert off[1] <= 3 * off[0] + 1e-5 * expected_loss
    wrong = [_distance(model, expected) for model in models]
    assert wrong[1] <= 3 * wrong[0] + 3e-4 * _distance(start, expected)


def _distance(one, other):
    return np.sqrt(sum(np.sum((one[key].astype(np.float64) - other[key]) ** 2) for key in other))


def test_value_programs_in_nhwc_before_change_nothing():
    """Paddle remembers NHWC on the thread, and would take the first map of 24x32 pixels for one of 24 channels."""
    shape, start = (2, 3, 48, 64), _eager("DeepLabV3P", "float32").state().model
    expected = ladder.steps(_static("DeepLabV3P", start, shape), shape, 2)
    nhwc = ladder.make_pair(ZOO["DeepLabV3P"].small_spec, shape, data_format="NHWC").static
    ladder.steps(nhwc, shape, 3)
    assert ladder.steps(_static("DeepLabV3P", start, shape), shape, 2) == expected


@pytest.mark.parametrize(
    ("place", "data_format", "words"),
    [("a GPU", "NCHW", "run on a GPU"), (paddle.CPUPlace(), "NHWC", "data_format: NHWC")],
)
def test_error_where_onednn_cannot(place, data_format, words, tmp_path):
    with pytest.raises(ConfigError, match=words):
        require_onednn(tiny_run("FCN", tmp_path, data_format), place)


def test_error_a_paddle_without_onednn(monkeypatch, tmp_path):
    monkeypatch.setattr("legacy.pdseg.onednn._has_onednn", lambda: False)
    with pytest.raises(ConfigError, match="built without oneDNN"):
        require_onednn(tiny_run("FCN", tmp_path), paddle.CPUPlace())
