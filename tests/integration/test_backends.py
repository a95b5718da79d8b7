"""``--backend`` in both modes: the predictions of the network itself, or a refusal."""

from __future__ import annotations

import importlib.util
import json
import sys
from functools import partial
from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from PIL import Image

from dygraph import cli as eager
from dygraph.converted import ENGINES, ConvertedPredictor, with_backend
from dygraph.engine.export import export_eager
from dygraph.engine.stepper import EagerPredictor
from legacy.pdseg import cli as static
from shared.errors import MachineError, RunFailedError
from tests.integration.conftest import finish, pairs, succeed

#: How far an engine's scores may be from the network's, and the share of pixels with another class.
TOLERANCE = {"onnxruntime": 1e-3, "openvino": 1e-3, "openvino-bf16": 0.03}

#: The packages that are not here, of every engine.
MISSING = {
    name: [package for package in (engine.package, "paddle2onnx") if importlib.util.find_spec(package) is None]
    for name, engine in ENGINES.items()
}


#: The engine that the default run takes in a mode; the others there are slow.
BY_DEFAULT = {"eager": "openvino", "static": "onnxruntime"}


def _needs_packages_of(engine):
    missing = MISSING[engine]
    refusal = f"{missing} are not installed" if missing else ENGINES[engine].refusal()
    return pytest.mark.skipif(bool(refusal), reason=refusal or "")


def _in_mode(mode, engine):
    slow = [] if BY_DEFAULT[mode] == engine else [pytest.mark.slow]
    return pytest.param(mode, engine, marks=[_needs_packages_of(engine), *slow])


with_each_engine = pytest.mark.parametrize(
    "engine", [pytest.param(engine, marks=_needs_packages_of(engine)) for engine in ENGINES]
)
in_each_mode = pytest.mark.parametrize(
    ("mode", "engine"), [_in_mode(mode, engine) for mode in BY_DEFAULT for engine in ENGINES]
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


@in_each_mode
def test_parity_scores_and_pictures_are_those_of_the_network(engine, mode, commands, scenes, tmp_path):
    val, predict, config, weights, folder = commands(mode)
    image = pairs(scenes)[0][0]
    scores, ids = {}, {}
    for backend in ("paddle", engine):
        out = tmp_path / backend
        words = (*config, "--model_path", weights, "--backend", backend)
        ended = succeed(val, *words, "--save_dir", out)
        assert (f"{ENGINES[engine].name} proved on images" in ended.log) == (backend == engine)
        scores[backend] = [c["iou"] for c in json.loads((out / "metrics.json").read_text())["classes"]]
        succeed(predict, *words, folder, out / "pictures", "--image_path", image, "--save_probabilities")
        (picture,) = (out / "pictures" / "pseudo_color_prediction").rglob("*.png")
        ids[backend] = np.array(Image.open(picture))
    given, own = (np.array(scores[backend], float) for backend in (engine, "paddle"))
    np.testing.assert_allclose(given, own, atol=TOLERANCE[engine], equal_nan=True)
    assert np.mean(ids[engine] != ids["paddle"]) <= TOLERANCE[engine]
    assert len(np.unique(ids["paddle"])) > 1


@in_each_mode
def test_value_sliding_windows_and_scales_go_through_it(engine, mode, commands, tmp_path):
    val, _, config, weights, _ = commands(mode)
    flags = {
        "eager": (("--aug_eval", "--scales", 0.5, 1.0), ()),
        "static": ((), ("TEST.AUG_EVAL", True, "TEST.SCALES", "[0.5, 1.0]")),
    }
    before, after = flags[mode]
    miou = {}
    for backend in ("paddle", engine):
        out = tmp_path / backend
        succeed(val, *config, "--model_path", weights, "--backend", backend, *before, "--save_dir", out, *after)
        miou[backend] = json.loads((out / "metrics.json").read_text())["miou"]
    assert miou[engine] == pytest.approx(miou["paddle"], abs=TOLERANCE[engine])


@pytest.mark.skipif(bool(MISSING["onnxruntime"]), reason=f"{MISSING['onnxruntime']} are not installed")
@pytest.mark.parametrize("mode", ["eager", pytest.param("static", marks=pytest.mark.slow)])
def test_value_a_run_with_the_channels_last_goes_through_it(mode, commands, tmp_path):
    val, _, config, weights, _ = commands(mode)
    flags = {"eager": (("--data_format", "NHWC"), ()), "static": ((), ("MODEL.DATA_FORMAT", "NHWC"))}
    before, after = flags[mode]
    miou = {}
    for backend in ("paddle", "onnxruntime"):
        out = tmp_path / backend
        succeed(val, *config, "--model_path", weights, "--backend", backend, *before, "--save_dir", out, *after)
        miou[backend] = json.loads((out / "metrics.json").read_text())["miou"]
    assert miou["onnxruntime"] == pytest.approx(miou["paddle"], abs=TOLERANCE["onnxruntime"])


class Liar:
    """A network that says something else than what was exported."""

    def logits(self, images):
        return np.random.default_rng(0).standard_normal((len(images), 5, *images.shape[2:])).astype(np.float32)


@with_each_engine
@pytest.mark.parametrize("output", ["logits", "class_ids"])
def test_error_a_network_that_disagrees_is_refused(engine, output):
    converted = ConvertedPredictor(ENGINES[engine], Liar(), partial(export_eager, one_convolution()))
    with pytest.raises(RunFailedError, match=r"another class than the network on .* use --backend paddle"):
        getattr(converted, output)(images_of(20, 30))


@with_each_engine
def test_value_images_of_many_sizes(engine):
    own = EagerPredictor(one_convolution())
    converted = with_backend(engine, None, own, partial(export_eager, own.network))
    for step in (*range(6), 0):
        images = images_of(20 + step, 30)
        given, expected = converted.logits(images), own.logits(images)
        if engine == "openvino-bf16":  # eight bits; not a bit off would be another type than was asked for
            assert 1e-3 < np.abs(given - expected).max() < 0.05
        else:
            np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(bool(MISSING["openvino"]), reason=f"{MISSING['openvino']} are not installed")
def test_value_wide_convolutions_by_openvino(monkeypatch):
    from dygraph.converted import winograd
    from dygraph.converted.openvino_runner import OWN_SHAPES

    rewritten = []
    replace, width = winograd.replace_convolutions, winograd.LEAST_CHANNELS
    monkeypatch.setattr(winograd, "LEAST_MULTIPLICATIONS", 1)
    monkeypatch.setattr(winograd, "replace_convolutions", lambda model: rewritten.append(replace(model)))
    layers = [paddle.nn.Conv2D(*sizes, padding=1) for sizes in ((3, width, 3), (width, width, 3), (width, 5, 3))]
    network = in_a_list(paddle.nn.Sequential(layers[0], paddle.nn.ReLU(), *layers[1:]))
    own = EagerPredictor(network)
    fast = with_backend("openvino", None, own, partial(export_eager, network))
    for height in range(20, 20 + OWN_SHAPES + 1):
        images = images_of(height, 30)
        expected = own.logits(images)
        np.testing.assert_allclose(fast.logits(images), expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert rewritten == [1] * OWN_SHAPES  # and none in the network for every other size


def one_convolution():
    return in_a_list(paddle.nn.Conv2D(3, 5, 3, padding=1))


def in_a_list(layer):
    """A network as the toolkit's are, whose logits come in a list."""

    class Network(paddle.nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, image):
            return [self.layer(image)]

    return Network()


def images_of(height, width):
    return np.random.default_rng(height).standard_normal((2, 3, height, width)).astype(np.float32)


@pytest.mark.parametrize("engine", ENGINES)
def test_error_without_the_packages(engine, monkeypatch, commands, tmp_path):
    package = ENGINES[engine].package
    monkeypatch.setitem(sys.modules, package, None)
    for mode in ("eager", "static"):
        val, _, config, weights, _ = commands(mode)
        words = ("--model_path", weights, "--backend", engine, "--save_dir", tmp_path)
        ended = finish(val, *config, *words)
        assert ended.code == 2
        assert f"needs the package {package}: pip install -e '.[{ENGINES[engine].extra}]'" in ended.err


@pytest.mark.parametrize("engine", ENGINES)
def test_error_with_a_gpu(engine):
    with pytest.raises(MachineError, match="runs on the CPU, and a GPU is asked for"):
        with_backend(engine, True, Liar(), lambda _: None)


def test_error_a_processor_without_bfloat16(monkeypatch):
    pytest.importorskip("openvino")
    pytest.importorskip("paddle2onnx")
    from dygraph.converted import openvino_runner

    able = SimpleNamespace(get_property=lambda *_: ["FP32", "INT8"])
    monkeypatch.setattr(openvino_runner, "core", lambda: able)
    with pytest.raises(MachineError, match="and this one has FP32, INT8; use --backend openvino"):
        with_backend("openvino-bf16", None, Liar(), lambda _: None)


def test_value_paddle_is_the_predictor_itself():
    own = Liar()
    assert with_backend("paddle", None, own, lambda _: None) is own
