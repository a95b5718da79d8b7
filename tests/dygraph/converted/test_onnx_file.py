"""Networks that cannot be converted end with a sentence, and not the process."""

from __future__ import annotations

from functools import partial

import numpy as np
import paddle
import pytest

pytest.importorskip("paddle2onnx")

from dygraph.converted.engines import Engine
from dygraph.converted.onnx_file import write_onnx
from dygraph.converted.predictor import ConvertedPredictor
from dygraph.engine.export import ExportSpec, export_eager
from dygraph.engine.stepper import EagerPredictor
from shared.errors import RunFailedError


class InAList(paddle.nn.Layer):
    """A network as the toolkit's are, whose logits come in a list."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, image):
        return [self.layer(image)]


def test_error_an_operator_that_aborts_the_converter(tmp_path):
    network = InAList(paddle.nn.AdaptiveMaxPool2D(3))
    with pytest.raises(
        RunFailedError, match=r"cannot be converted to ONNX \(.*pool2d.*static.*\); use --backend paddle"
    ):
        write_onnx(partial(export_eager, network), ExportSpec(tmp_path, "none"), tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_error_an_export_that_fails_is_said_as_it_is(tmp_path):
    def write(spec):
        raise ZeroDivisionError("no network")

    with pytest.raises(ZeroDivisionError, match="no network"):
        write_onnx(write, ExportSpec(tmp_path, "none"), tmp_path / "model.onnx")


@pytest.mark.parametrize("fails", ["load", "run"])
def test_error_an_engine_that_cannot_run_it(fails):
    def load(path):
        assert path.stat().st_size > 0
        if fails == "load":
            raise ValueError("no such operator")
        return run

    def run(images):
        raise IndexError("no such operator")

    engine = Engine("Somebody", "numpy", "onnx", load)
    network = InAList(paddle.nn.Conv2D(3, 5, 1))
    converted = ConvertedPredictor(engine, EagerPredictor(network), partial(export_eager, network))
    with pytest.raises(
        RunFailedError, match=r"Somebody cannot run this network \(no such operator\); use --backend paddle"
    ):
        converted.logits(np.zeros((1, 3, 8, 8), np.float32))


@pytest.mark.parametrize("shortage", [MemoryError(), RuntimeError("std::bad_alloc")])
def test_error_too_little_memory_stays_what_it_is(shortage):
    """The caller then takes windows of the image."""

    def run(images):
        raise shortage

    engine = Engine("Somebody", "numpy", "onnx", lambda path: run)  # noqa: ARG005 - who loads is not asked
    network = InAList(paddle.nn.Conv2D(3, 5, 1))
    converted = ConvertedPredictor(engine, EagerPredictor(network), partial(export_eager, network))
    with pytest.raises(type(shortage)) as raised:
        converted.logits(np.zeros((1, 3, 8, 8), np.float32))
    assert raised.value is shortage
