"""``--backend onnxruntime`` in both modes: the predictions of the network itself, or a refusal."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from PIL import Image

from dygraph import cli as eager
from dygraph.onnx_backend import OnnxPredictor, with_backend
from legacy.pdseg import cli as static
from shared.errors import MachineError, RunFailedError
from tests.integration.conftest import finish, pairs, succeed

needs_packages = pytest.mark.skipif(
    not all(__import__("importlib.util").util.find_spec(name) for name in ("onnxruntime", "paddle2onnx")),
    reason="the extra 'onnx' is not installed",
)


@pytest.fixture
def commands(request):
    """(val, predict, config flag and file, weights, flag of the pictures' folder) of one mode."""

    def get(mode: str):
        if mode == "eager":
            words = ("--config", request.getfixturevalue("eager_yaml")), request.getfixturevalue("eager_weights")
            return eager.val, eager.predict, *words, "--save_dir"
        words = ("--cfg", request.getfixturevalue("static_yaml")), request.getfixturevalue("static_weights")
        return static.evaluate, static.visualize, *words, "--vis_dir"

    return get


@needs_packages
@pytest.mark.parametrize("mode", ["eager", "static"])
def test_parity_scores_and_pictures_are_those_of_the_network(mode, commands, scenes, tmp_path):
    val, predict, config, weights, folder = commands(mode)
    image = pairs(scenes)[0][0]
    scores, ids = {}, {}
    for backend in ("paddle", "onnxruntime"):
        out = tmp_path / backend
        words = (*config, "--model_path", weights, "--backend", backend)
        ended = succeed(val, *words, "--save_dir", out)
        assert ("ONNX Runtime proved on images" in ended.log) == (backend == "onnxruntime")
        scores[backend] = [c["iou"] for c in json.loads((out / "metrics.json").read_text())["classes"]]
        succeed(predict, *words, folder, out / "pictures", "--image_path", image, "--save_probabilities")
        (picture,) = (out / "pictures" / "pseudo_color_prediction").rglob("*.png")
        ids[backend] = np.array(Image.open(picture))
    np.testing.assert_allclose(
        np.array(scores["onnxruntime"], float), np.array(scores["paddle"], float), atol=1e-3, equal_nan=True
    )
    assert np.mean(ids["onnxruntime"] != ids["paddle"]) <= 1e-3
    assert len(np.unique(ids["paddle"])) > 1


@needs_packages
@pytest.mark.parametrize("mode", ["eager", "static"])
def test_value_sliding_windows_and_scales_go_through_it(mode, commands, tmp_path):
    val, _, config, weights, _ = commands(mode)
    flags = {
        "eager": (("--aug_eval", "--scales", 0.5, 1.0), ()),
        "static": ((), ("TEST.AUG_EVAL", True, "TEST.SCALES", "[0.5, 1.0]")),
    }
    before, after = flags[mode]
    miou = {}
    for backend in ("paddle", "onnxruntime"):
        out = tmp_path / backend
        succeed(val, *config, "--model_path", weights, "--backend", backend, *before, "--save_dir", out, *after)
        miou[backend] = json.loads((out / "metrics.json").read_text())["miou"]
    assert miou["onnxruntime"] == pytest.approx(miou["paddle"], abs=1e-3)


class Liar:
    """A network that says something else than what was exported."""

    def logits(self, images):
        return np.random.default_rng(0).standard_normal((len(images), 5, *images.shape[2:])).astype(np.float32)


@needs_packages
@pytest.mark.parametrize("output", ["logits", "class_ids"])
def test_error_a_network_that_disagrees_is_refused(output):
    import paddle

    from dygraph.engine.export import export_eager

    class Network(paddle.nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = paddle.nn.Conv2D(3, 5, 3, padding=1)

        def forward(self, image):
            return [self.convolution(image)]

    network = Network()
    images = np.random.default_rng(1).standard_normal((2, 3, 20, 30)).astype(np.float32)
    with pytest.raises(RunFailedError, match=r"another class than the network on .* use --backend paddle"):
        getattr(OnnxPredictor(Liar(), lambda spec: export_eager(network, spec)), output)(images)


def test_error_without_the_packages(monkeypatch, commands, tmp_path):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for mode in ("eager", "static"):
        val, _, config, weights, _ = commands(mode)
        words = ("--model_path", weights, "--backend", "onnxruntime", "--save_dir", tmp_path)
        ended = finish(val, *config, *words)
        assert ended.code == 2
        assert "needs the package onnxruntime: pip install -e '.[onnx]'" in ended.err


def test_error_with_a_gpu():
    with pytest.raises(MachineError, match="runs on the CPU, and a GPU is asked for"):
        with_backend("onnxruntime", True, Liar(), lambda _: None)


def test_value_paddle_is_the_predictor_itself():
    own = Liar()
    assert with_backend("paddle", None, own, lambda _: None) is own
