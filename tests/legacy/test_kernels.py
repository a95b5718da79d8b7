"""The kernels of ``dygraph.kernels`` in a Program: what they replace, and what an executor makes of their errors."""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
import weakref
from collections import Counter

import numpy as np
import paddle
import pytest

from dygraph.engine.export import ExportedPredictor, ExportSpec
from dygraph.engine.stepper import EagerPredictor, set_weights
from dygraph.kernels import bilinear, convolution
from dygraph.kernels.choice import lacking
from legacy.pdseg.export import export_static
from legacy.pdseg.kernels import kernel_call, resized_images
from legacy.pdseg.stepper import StaticPredictor
from tests.parity import ladder
from tests.zoo import ZOO

pytestmark = pytest.mark.skipif(lacking() is not None, reason=str(lacking()))

SHAPE = (2, 3, 32, 48)
REPLACED = ("conv2d", "depthwise_conv2d", "bilinear_interp")


@pytest.fixture(scope="module")
def stepper():
    return ladder.make_pair(ZOO["DeepLabV3P"].small_spec, SHAPE).static


def _step(stepper):
    return ladder.steps(stepper, SHAPE, 1)[0]


def test_value_what_pays_is_replaced_with_its_gradient():
    block = ladder.make_pair(
        ZOO["DeepLabV3P"].small_spec, SHAPE, fast_kernels=False
    ).static.training.main.global_block()
    resized = resized_images(block)
    calls = {op.id(): kernel_call(op, resized) for op in block.ops}
    slow = [op for op in block.ops if op.name().removeprefix("pd_op.").removesuffix("_grad") in REPLACED]
    kept = [op for op in slow if calls[op.id()] is None]
    assert {op.name().removesuffix("_grad") for op in kept} == {"pd_op.conv2d"}
    assert {tuple(op.operand_source(1).shape[2:]) for op in kept} == {(1, 1)}, "a product of matrices"
    count = Counter(call.compute for call in calls.values() if call is not None)
    assert count[convolution.forward] > 10
    assert count[convolution.kernel_gradient] == 1, "the images themselves have no gradient"
    assert count[convolution.gradients] == count[convolution.forward] - 1
    assert count[bilinear.forward] == count[bilinear.gradient] > 0


def test_value_in_predictions_they_are_convolutions_of_any_size(stepper):
    ops = stepper.inference.main.global_block().ops
    convolutions = [op for op in ops if op.name() == "pd_op.conv2d"]
    assert {tuple(op.operand_source(1).shape[2:]) for op in convolutions} == {(1, 1)}, "a product of matrices"
    assert sum(op.name().startswith("py_op.dualseg_conv2d") for op in ops) > 10
    assert "pd_op.bilinear_interp" in {op.name() for op in ops}, "no gradient is asked for"
    eager = EagerPredictor(_eager_network(stepper), fast_kernels=True)
    for seed, size_hw in enumerate([(32, 48), (49, 33), (32, 48)]):
        images, _ = ladder.images_and_labels((1, 3, *size_hw), seed=seed)
        np.testing.assert_array_equal(stepper.logits(images), eager.logits(images))


def _eager_network(stepper):
    network = stepper.build_network()
    set_weights(network, stepper.state().model, "the stepper")
    return network


def test_value_paddle_inference_starts_beside_such_programs(stepper, tmp_path):
    """It aborts the process over an operator written in Python, unless it was begun before the first of them."""
    _step(stepper)
    spec = ExportSpec(tmp_path, "none")
    export_static(stepper, spec)
    images = ladder.images_and_labels(SHAPE)[0]
    plain = StaticPredictor(stepper.build_network, stepper.state().model, paddle.CPUPlace())  # as exports compute
    np.testing.assert_array_equal(ExportedPredictor(spec).run(images), plain.logits(images))


class _Held:
    """Stands for the tensors of a broken computation."""


def test_value_after_an_error_nothing_is_held_of_what_broke(monkeypatch):
    """Without Python's search for rings, which comes late."""
    held = []

    def broken(*_):
        tensors = _Held()
        held.append(weakref.ref(tensors))
        raise MemoryError("none left")

    stepper = ladder.make_pair(ZOO["FCN"].small_spec, SHAPE).static
    monkeypatch.setattr(convolution, "_convolution", broken)
    gc.disable()
    try:
        with contextlib.suppress(MemoryError):
            _step(stepper)
        assert [reference() for reference in held] == [None]
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("module", "name"), [(convolution, "_convolution"), (bilinear, "_matrices")], ids=["convolution", "bilinear"]
)
@pytest.mark.parametrize("error", [MemoryError("none left"), ZeroDivisionError("by nothing")])
def test_error_in_a_kernel_is_raised_and_the_next_step_runs(monkeypatch, capfd, module, name, error):
    def broken(*_):
        raise error

    stepper = ladder.make_pair(ZOO["FCN"].small_spec, SHAPE).static
    with monkeypatch.context() as patched:
        patched.setattr(module, name, broken)
        with pytest.raises(type(error), match=str(error)):
            _step(stepper)
    capfd.readouterr()
    assert np.isfinite(_step(stepper).loss)


def test_value_other_system_errors_stay_what_they_are(monkeypatch):
    stepper = ladder.make_pair(ZOO["FCN"].small_spec, SHAPE).static

    def broken(*_, **__):
        raise SystemError("of Paddle's own")

    monkeypatch.setattr(paddle.static.Executor, "run", broken)
    with pytest.raises(SystemError, match="of Paddle's own"):
        _step(stepper)


_THREADS = """
import ctypes, pathlib, paddle
from dygraph.engine.static_mode import static_mode
from legacy.pdseg.python_operator import begin_inference
openmp = ctypes.CDLL(str(pathlib.Path(paddle.__file__).parent / "libs" / "libiomp5.so"))
before = openmp.omp_get_max_threads()
with static_mode():
    begin_inference()
print(before, openmp.omp_get_max_threads())
"""


def test_value_the_process_keeps_its_threads():
    environment = {**os.environ, "OMP_NUM_THREADS": "3", "FLAGS_paddle_num_threads": "3"}
    ended = subprocess.run(
        [sys.executable, "-c", _THREADS], env=environment, capture_output=True, text=True, check=True
    )
    assert ended.stdout.split() == ["3", "3"]
