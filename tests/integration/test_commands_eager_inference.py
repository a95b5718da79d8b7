"""``val.py``, ``predict.py`` and ``export.py``: against images normalised, logits joined and scores computed here."""

from __future__ import annotations

import json
import re

import cv2
import numpy as np
import paddle
import pytest
import yaml
from PIL import Image

from dygraph import cli
from dygraph.engine.export import ExportedPredictor, ExportSpec
from dygraph.engine.session import make_predictor
from dygraph.engine.stepper import EagerPredictor
from shared.config.eager import load_run_config
from shared.config.run_config import EvalConfig
from shared.engine.inference import predict_ids
from tests.integration.conftest import NUM_CLASSES, finish, ids_of, iou_of, normalised, pairs, succeed

WAYS = {
    "plain": ((), EvalConfig()),
    "scales": (("--aug_eval", "--scales", 0.5, 1.25), EvalConfig(aug_eval=True, scales=(0.5, 1.25))),
    "mirrored": (("--aug_eval", "--flip_horizontal"), EvalConfig(aug_eval=True, flip_horizontal=True)),
    "upside_down": (("--aug_eval", "--flip_vertical"), EvalConfig(aug_eval=True, flip_vertical=True)),
    "windows": (
        ("--is_slide", "--crop_size", 48, 32, "--stride", 32, 24),
        EvalConfig(is_slide=True, crop_hw=(32, 48), stride_hw=(24, 32)),
    ),
    "everything": (
        (
            *("--aug_eval", "--scales", 1, 1.5, "--flip_horizontal", "--flip_vertical"),
            *("--is_slide", "--crop_size", 64, 48, "--stride", 64, 40),
        ),
        EvalConfig(True, (1.0, 1.5), True, True, True, (48, 64), (40, 64)),
    ),
}


@pytest.fixture(scope="module")
def weights(eager_weights):
    return eager_weights


@pytest.fixture(scope="module")
def predictor(eager_yaml, weights):
    return make_predictor(load_run_config(eager_yaml), str(weights), False)


@pytest.mark.parametrize(
    "way", [name if name != "everything" else pytest.param(name, marks=pytest.mark.slow) for name in WAYS]
)
def test_value_val_equals_inference_called_by_hand(way, eager_yaml, weights, predictor, scenes, tmp_path):
    flags, config = WAYS[way]
    ended = succeed(
        cli.val, "--config", eager_yaml, "--model_path", weights, "--save_dir", tmp_path / "out" / "deep", *flags
    )
    labels, predictions, plain = [], [], []
    for image, label in pairs(scenes):
        valid = (label_ids := ids_of(label)) != 255
        labels.append(label_ids[valid])
        predictions.append(predict_ids(predictor, normalised(image), config)[0][valid])
        plain.append(predict_ids(predictor, normalised(image), EvalConfig())[0][valid])
    labels, predictions, plain = map(np.concatenate, (labels, predictions, plain))
    assert way == "plain" or np.any(predictions != plain), "the flags have something to change"

    written = json.loads((tmp_path / "out" / "deep" / "metrics.json").read_text())
    wanted = iou_of(labels, predictions)
    got = np.array([c["iou"] for c in written["classes"]], np.float64)
    np.testing.assert_allclose(got, wanted, rtol=1e-12)
    assert written["miou"] == pytest.approx(np.nanmean(wanted), rel=1e-12)
    assert written["pixel_accuracy"] == pytest.approx(np.mean(labels == predictions), rel=1e-12)
    assert [c["name"] for c in written["classes"]] == (scenes / "classes.txt").read_text().splitlines()
    assert f"images 4, mIoU {np.nanmean(wanted):.4f}" in ended.out
    assert cv2.imread(str(tmp_path / "out" / "deep" / "confusion.png")) is not None


def test_value_val_prints_the_stored_score_beside_its_own(eager_yaml, eager_run, tmp_path):
    best = eager_run.save_dir / "best_model"
    miou = json.loads((best / "state.json").read_text())["best"]["miou"]
    ended = succeed(cli.val, "--config", eager_yaml, "--model_path", best, "--save_dir", tmp_path)
    assert f"mIoU {miou:.4f} (stored with the checkpoint: {miou:.4f})" in ended.out
    assert json.loads((tmp_path / "metrics.json").read_text())["miou"] == pytest.approx(miou, rel=1e-12)

    bare = succeed(cli.val, "--config", eager_yaml, "--model_path", best / "model.safetensors", "--save_dir", tmp_path)
    assert "stored" not in bare.out
    assert f"mIoU {miou:.4f}, pixel accuracy" in bare.out


def test_value_val_data_format_workers_and_opts(eager_yaml, weights, scenes, tmp_path):
    scores = []
    for name, flags in {
        "plain": (),
        "nhwc": ("--data_format", "NHWC"),
        "workers": ("--num_workers", 1),
        "bgr": ("--opts", "val_dataset.to_rgb=false"),
    }.items():
        succeed(cli.val, "--config", eager_yaml, "--model_path", weights, "--save_dir", tmp_path / name, *flags)
        scores.append(json.loads((tmp_path / name / "metrics.json").read_text())["pixel_accuracy"])
    assert scores[0] == scores[2]
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)
    assert scores[0] != scores[3]


def predict(config, weights, image_path, save_dir, *flags):
    given = ("--config", config, "--model_path", weights, "--image_path", image_path, "--save_dir", save_dir)
    return succeed(cli.predict, *given, *flags)


def test_value_predict_one_image(eager_yaml, weights, predictor, scenes, tmp_path):
    image, _ = pairs(scenes)[0]
    ended = predict(eager_yaml, weights, image, tmp_path, "--save_probabilities")
    assert "1 predictions in" in ended.out
    wanted = predict_ids(predictor, normalised(image), EvalConfig())[0]
    written = Image.open(tmp_path / "pseudo_color_prediction" / image.name)
    assert written.mode == "P"
    assert np.array_equal(np.asarray(written), wanted)

    road = written.getpalette()[:3]
    assert road == [128, 64, 128], "Cityscapes' colour of road"
    colours = np.array(written.getpalette()).reshape(-1, 3)[wanted]
    photo = np.asarray(Image.open(image).convert("RGB"))
    laid_over = np.asarray(Image.open(tmp_path / "added_prediction" / image.name))
    assert laid_over.shape == photo.shape
    assert np.abs(laid_over - (0.6 * photo + 0.4 * colours)).max() <= 0.5 + 1e-6

    found = np.load(tmp_path / "probabilities" / f"{image.stem}.npz")["probabilities"]
    logits = predictor.logits(normalised(image))[0].astype(np.float64)
    softmax = np.exp(logits) / np.exp(logits).sum(axis=0)
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, softmax, atol=1e-3)


def test_value_predict_flags_change_the_prediction(eager_yaml, weights, predictor, scenes, tmp_path):
    image, _ = pairs(scenes)[1]
    flags, config = WAYS["everything"]
    predict(eager_yaml, weights, image, tmp_path, *flags)
    written = ids_of(tmp_path / "pseudo_color_prediction" / image.name)
    assert np.array_equal(written, predict_ids(predictor, normalised(image), config)[0])
    assert np.any(written != predict_ids(predictor, normalised(image), EvalConfig())[0])


def test_value_predict_a_directory_keeps_its_folders_and_skips_what_cannot_be_read(
    eager_yaml, weights, scenes, tmp_path
):
    folder = tmp_path / "photos"
    for place, (image, _) in zip(("a", "b/c"), pairs(scenes)):
        (folder / place).mkdir(parents=True)
        Image.open(image).resize((70, 50)).save(folder / place / "photo.jpg")
    (folder / "broken.png").write_bytes(b"no image")
    (folder / "notes.txt").write_text("no image either")
    ended = predict(eager_yaml, weights, folder, tmp_path / "out")
    assert "2 predictions in" in ended.out
    assert "1 skipped" in ended.out
    (line,) = [line for line in ended.log.splitlines() if "skipped" in line]
    assert "broken.png" in line
    for kind in ("pseudo_color_prediction", "added_prediction"):
        found = sorted(p.relative_to(tmp_path / "out" / kind) for p in (tmp_path / "out" / kind).rglob("*.png"))
        assert [str(p) for p in found] == ["a/photo.png", "b/c/photo.png"]
        assert all(Image.open(tmp_path / "out" / kind / p).size == (70, 50) for p in found)
    assert not (tmp_path / "out" / "probabilities").exists()


def test_value_predict_a_list_and_own_colours(eager_yaml, weights, scenes, tmp_path):
    colours = np.arange(3 * NUM_CLASSES) * 4
    predict(eager_yaml, weights, scenes / "val.txt", tmp_path, "--custom_color", *colours)
    written = sorted((tmp_path / "pseudo_color_prediction").rglob("*.png"))
    assert sorted(p.name for p in written) == sorted(image.name for image, _ in pairs(scenes))
    assert Image.open(written[0]).getpalette()[: 3 * NUM_CLASSES] == colours.tolist()


def test_error_predict_nothing_readable(eager_yaml, weights, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    for given in (tmp_path / "a.png", tmp_path):
        ended = finish(
            cli.predict, "--config", eager_yaml, "--model_path", weights, "--image_path", given, "--save_dir", tmp_path
        )
        assert ended.code == 2
        assert "none of the 1 images could be read" in ended.err


EXPORTS = {
    "argmax": (("--output_op", "argmax"), (-1, 3, -1, -1), (2, 3, 72, 104)),
    "softmax_fixed": (("--output_op", "softmax", "--input_shape", 1, 3, 64, 96), (1, 3, 64, 96), (1, 3, 64, 96)),
    "none_any_batch": (("--output_op", "none", "--input_shape", -1, 3, 48, 64), (-1, 3, 48, 64), (3, 3, 48, 64)),
}


@pytest.mark.parametrize("case", EXPORTS)
def test_value_exported_network_equals_the_network(case, eager_yaml, weights, predictor, scenes, tmp_path):
    flags, signature, shape = EXPORTS[case]
    ended = succeed(cli.export, "--config", eager_yaml, "--model_path", weights, "--save_dir", tmp_path, *flags)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deploy.yaml", "model.json", "model.pdiparams"]
    assert "exported FCN to" in ended.log
    assert "export proved on 1 image(s)" in ended.log

    images = np.random.default_rng(4).standard_normal(shape, dtype=np.float32)
    output = ExportedPredictor(ExportSpec(tmp_path)).run(images)
    logits = EagerPredictor(predictor.network).logits(images)  # by Paddle's own kernels, as exports compute
    if case == "argmax":
        assert output.dtype == np.int32
        assert output.shape == (2, 72, 104)
        assert np.mean(output != logits.argmax(axis=1)) <= 1e-3
    elif case == "none_any_batch":
        np.testing.assert_allclose(output, logits, rtol=1e-4, atol=1e-4)
    else:
        exponentials = np.exp(logits.astype(np.float64))
        np.testing.assert_allclose(output, exponentials / exponentials.sum(axis=1, keepdims=True), atol=1e-5)

    deploy = yaml.safe_load((tmp_path / "deploy.yaml").read_text())["Deploy"]
    assert deploy == {
        "model": "model.json",
        "params": "model.pdiparams",
        "input_shape": list(signature),
        "output_op": flags[1],
        "output_dtype": "int32" if case == "argmax" else "float32",
        "to_rgb": True,
        "transforms": [{"type": "Normalize", "mean": [0.5], "std": [0.5]}],
        "num_classes": NUM_CLASSES,
        "class_names": (scenes / "classes.txt").read_text().splitlines(),
    }
    assert paddle.in_dynamic_mode()


def test_error_export_input_shape(eager_yaml, weights, tmp_path):
    given = ("--config", eager_yaml, "--model_path", weights, "--save_dir", tmp_path / "out")
    ended = finish(cli.export, *given, "--input_shape", 1, 4, 0, 96)
    assert ended.code == 2
    assert "--input_shape: got 1 4 0 96, expected N 3 H W" in ended.err
    assert not (tmp_path / "out").exists()


def test_value_export_without_the_data_set_is_proved_on_noise(eager_yaml, weights, tmp_path):
    given = ("--config", eager_yaml, "--model_path", weights, "--save_dir", tmp_path)
    ended = succeed(cli.export, *given, "--opts", "val_dataset.dataset_root=/nowhere/at/all")
    assert re.search(r"WARNING the export is proved on noise.*/nowhere/at/all", ended.log)
    assert yaml.safe_load((tmp_path / "deploy.yaml").read_text())["Deploy"]["class_names"][18] == "class 18"
