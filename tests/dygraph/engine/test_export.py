"""What an export proves about itself, and that the proof fails where it should."""

from __future__ import annotations

import numpy as np
import paddle
import pytest
import yaml

from dygraph.engine.export import ExportedPredictor, ExportSpec, InferenceNetwork, export_eager, prove
from dygraph.engine.stepper import EagerPredictor
from shared.errors import RunFailedError


class Colours(paddle.nn.Layer):
    """Each pixel's logits are four mixtures of its colours, by a seeded matrix."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        weight = np.random.default_rng(seed).standard_normal((4, 3, 1, 1)).astype(np.float32)
        self.cls = paddle.nn.Conv2D(3, 4, 1, weight_attr=paddle.nn.initializer.Assign(weight))

    def forward(self, x):
        return [self.cls(x)]


IMAGES = np.random.default_rng(9).standard_normal((2, 3, 17, 23)).astype(np.float32)


def logits_by_hand(network):
    weight, bias = network.cls.weight.numpy()[:, :, 0, 0], network.cls.bias.numpy()
    return np.einsum("kc,nchw->nkhw", weight, IMAGES) + bias[:, None, None]


def softmax(values):
    exponentials = np.exp(values.astype(np.float64))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("operator", ["argmax", "softmax", "none"])
def test_value_inference_network_and_its_export(operator, tmp_path):
    network = Colours(1)
    logits = logits_by_hand(network)
    wanted = {"argmax": logits.argmax(axis=1), "softmax": softmax(logits), "none": logits}[operator]
    direct = InferenceNetwork(network, operator)(paddle.to_tensor(IMAGES)).numpy()
    spec = ExportSpec(tmp_path, operator, model_name="net", params_name="weights.bin")
    export_eager(network, spec)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.json", "weights.bin"]
    exported = ExportedPredictor(spec).run(IMAGES)
    for found in (direct, exported):
        assert found.dtype == (np.int32 if operator == "argmax" else np.float32)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    assert prove(spec, EagerPredictor(network), IMAGES) == 0.0


@pytest.mark.parametrize("operator", ["argmax", "softmax", "none"])
def test_error_prove_finds_weights_of_another_network(operator, tmp_path):
    """The files are tampered with: another network's weights lie beside the Program."""
    network, other = Colours(1), Colours(2)
    spec, elsewhere = (ExportSpec(tmp_path / name, operator) for name in ("a", "b"))
    export_eager(network, spec)
    export_eager(other, elsewhere)
    elsewhere.params_path.replace(spec.params_path)
    share = np.mean(logits_by_hand(network).argmax(axis=1) != logits_by_hand(other).argmax(axis=1))
    assert share > 0.01
    with pytest.raises(RunFailedError, match=rf"another class on {100 * share:.2f}% of the pixels .*do not use"):
        prove(spec, EagerPredictor(network), IMAGES)


def test_value_deploy_file(tmp_path):
    from dygraph.engine.export import write_deploy_file
    from shared.config.run_config import (
        Component,
        DatasetConfig,
        OptimizerConfig,
        RunConfig,
        ScheduleConfig,
        TrainConfig,
    )

    steps = (Component("Resize", {"target_size": [8, 4]}), Component("Normalize"))
    run = RunConfig(
        model=Component("FCN"),
        losses=(),
        optimizer=OptimizerConfig(),
        schedule=ScheduleConfig(),
        train=TrainConfig(),
        train_data=None,
        val_data=DatasetConfig(Component("Dataset"), steps, to_rgb=False),
        num_classes=2,
    )
    path = write_deploy_file(run, ExportSpec(tmp_path, "none", (1, 3, 4, 8)), ["Straße", "sky"])
    deploy = yaml.safe_load(path.read_text(encoding="utf-8"))["Deploy"]
    resize, normalize = deploy.pop("transforms")
    assert (resize["type"], resize["target_size"], resize["interp"]) == ("Resize", [8, 4], "LINEAR")
    assert normalize == {"type": "Normalize", "mean": [0.5], "std": [0.5]}, "defaults are written out"
    assert deploy == {
        "model": "model.json",
        "params": "model.pdiparams",
        "input_shape": [1, 3, 4, 8],
        "output_op": "none",
        "output_dtype": "float32",
        "to_rgb": False,
        "num_classes": 2,
        "class_names": ["Straße", "sky"],
    }


class Undecided:
    """Logits whose two classes differ by ``gap`` everywhere, class 1 ahead."""

    def __init__(self, gap):
        self.gap = gap

    def logits(self, images):
        return np.stack([np.zeros_like(images[:, 0]), np.full_like(images[:, 0], self.gap)], axis=1)


@pytest.mark.parametrize(("gap", "refused"), [(1e-6, False), (0.01, True)])
def test_value_a_tie_does_not_fail_an_export(gap, refused, monkeypatch, tmp_path):
    """The exported network says class 0 everywhere: harmless where both are as likely, wrong otherwise."""

    class Zero:
        def __init__(self, spec):
            self.spec = spec

        def run(self, images):
            return np.zeros((1, *images.shape[2:]), np.int32)

    monkeypatch.setattr("dygraph.engine.export.ExportedPredictor", Zero)
    images = np.zeros((1, 3, 8, 8), np.float32)
    if refused:
        with pytest.raises(RunFailedError, match=r"100\.00% of the pixels"):
            prove(ExportSpec(tmp_path), Undecided(gap), images)
    else:
        assert prove(ExportSpec(tmp_path), Undecided(gap), images) == 0.0
