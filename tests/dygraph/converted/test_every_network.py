"""Every architecture converted in both modes and run by both engines, for a size of its own and for any other size."""

from __future__ import annotations

from functools import partial

import numpy as np
import paddle
import pytest

pytest.importorskip("openvino")
pytest.importorskip("onnxruntime")
pytest.importorskip("paddle2onnx")

from dygraph.build import build_model
from dygraph.converted import ENGINES, openvino_runner, winograd
from dygraph.converted.onnx_file import write_onnx
from dygraph.engine.export import ExportSpec, export_eager
from dygraph.engine.stepper import EagerPredictor
from legacy.pdseg.export import export_static
from legacy.pdseg.session import weights_of
from legacy.pdseg.stepper import StaticPredictor
from shared.registry import MODELS
from tests.dygraph.networks import fill
from tests.zoo import ZOO

#: Means over cells, and padding by amounts that depend on the image; the rest is slow.
DEFAULT = ("ISANet", "PSPNet")
#: Ten seconds and more each, or of layers that others have too.
REPEATS = (
    "AttentionUNet",
    "DecoupledSegNet",
    "DeepLabV3",
    "DNLNet",
    "EMANet",
    "OCRNet",
    "U2Net",
    "U2Netp",
    "UNet3Plus",
)
#: The first is compiled for; the second, which no stride divides, goes through the network for any size.
SHAPES = ((1, 3, 64, 96), (2, 3, 73, 101))


def _marks(name):
    asked = ((pytest.mark.slow, name not in DEFAULT), (pytest.mark.repeats, name in REPEATS))
    return [mark for mark, given in asked if given]


@pytest.mark.parametrize("name", [pytest.param(name, marks=_marks(name)) for name in sorted(MODELS)])
def test_parity_logits_of_both_engines(name, tmp_path, monkeypatch):
    monkeypatch.setattr(openvino_runner, "OWN_SHAPES", 1)
    spec = {**ZOO[name].small_spec, "num_classes": 5}
    network = fill(build_model(spec))
    network.eval()
    own = EagerPredictor(network)
    static = StaticPredictor(lambda: build_model(spec), weights_of(network), paddle.CPUPlace())
    runners = {}
    for mode, write in (("eager", partial(export_eager, network)), ("static", partial(export_static, static))):
        folder = tmp_path / mode
        folder.mkdir()
        write_onnx(write, ExportSpec(folder, "none"), folder / "model.onnx")
        for engine in ("onnxruntime", "openvino") if mode == "eager" else ("onnxruntime",):
            runners[engine, mode] = ENGINES[engine].load(folder / "model.onnx")
    runners["openvino", "rewritten"] = ENGINES["openvino"].load(tmp_path / "eager" / "model.onnx")
    for shape in SHAPES:
        images = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        expected = own.logits(images)
        given = {}
        for key, run in runners.items():
            with monkeypatch.context() as patch:
                for limit in ("LEAST_CHANNELS", "LEAST_TILES", "LEAST_MULTIPLICATIONS"):
                    if "rewritten" in key:  # every convolution that can be, however small
                        patch.setattr(winograd, limit, 1)
                given[key] = run(images)
        for key, logits in given.items():
            np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5 * np.abs(expected).max(), err_msg=key)
        np.testing.assert_array_equal(given["onnxruntime", "eager"], given["onnxruntime", "static"])
