"""Every architecture converted once and run by both engines, for a size of its own and for any other size."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

pytest.importorskip("openvino")
pytest.importorskip("onnxruntime")
pytest.importorskip("paddle2onnx")

from dygraph.build import build_model
from dygraph.converted import ENGINES, openvino_runner
from dygraph.converted.onnx_file import write_onnx
from dygraph.engine.export import ExportSpec, export_eager
from dygraph.engine.stepper import EagerPredictor
from shared.registry import MODELS
from tests.dygraph.networks import fill
from tests.zoo import ZOO

#: Between them they have each operator that is traced in another way.
DEFAULT = ("GCNet", "ISANet", "PSPNet", "ShuffleNetV2")
#: Ten seconds and more each, or of layers that others have too.
REPEATS = ("AttentionUNet", "DeepLabV3", "U2Net", "UNet3Plus")
#: The first is compiled for; the second goes through the network for any size. No stride divides it.
SHAPES = ((1, 3, 64, 96), (2, 3, 73, 101))


def _marks(name):
    asked = ((pytest.mark.slow, name not in DEFAULT), (pytest.mark.repeats, name in REPEATS))
    return [mark for mark, given in asked if given]


@pytest.mark.parametrize("name", [pytest.param(name, marks=_marks(name)) for name in sorted(MODELS)])
def test_parity_logits_of_both_engines(name, tmp_path, monkeypatch):
    monkeypatch.setattr(openvino_runner, "OWN_SHAPES", 1)
    network = fill(build_model({**ZOO[name].small_spec, "num_classes": 5}))
    network.eval()
    target = tmp_path / "model.onnx"
    write_onnx(partial(export_eager, network), ExportSpec(tmp_path, "none"), target)
    own = EagerPredictor(network)
    runners = {engine: ENGINES[engine].load(target) for engine in ("openvino", "onnxruntime")}
    for shape in SHAPES:
        images = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        expected = own.logits(images)
        for engine, run in runners.items():
            given = run(images)
            np.testing.assert_allclose(given, expected, rtol=0, atol=1e-5 * np.abs(expected).max(), err_msg=engine)
