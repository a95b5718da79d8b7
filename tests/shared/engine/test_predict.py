"""Prediction over one's own images with a predictor of NumPy."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from shared.commands.predict import find_images, predict_command, validation_images
from shared.config.run_config import Component, DatasetConfig, EvalConfig, FilesConfig
from shared.engine.predict import predict
from shared.errors import ConfigError, DataError
from shared.transforms.compose import build_transforms
from tests.shared.engine.test_data import folder, run, section  # noqa: F401 - a fixture

PALETTE = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)


class Brightest:
    """The class of a pixel is its strongest colour channel; logits are the channels."""

    def logits(self, images):
        return images

    def class_ids(self, images):
        return images.argmax(axis=1).astype(np.int32)


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("b.png", "deep/er/a.PNG", "c.jpg"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (11, 14, 3), np.uint8).astype(np.uint8)).save(path)
    (tmp_path / "photos" / "notes.md").write_text("no image")
    return tmp_path / "photos"


def names(found, root):
    return [str(path.relative_to(root)) for path in found]


def test_value_find_images(photos):
    found, root = find_images(str(photos))
    assert (names(found, root), root) == (["b.png", "c.jpg", "deep/er/a.PNG"], photos)
    found, root = find_images(str(photos / "deep" / "er" / "a.PNG"))
    assert names(found, root) == ["a.PNG"]


@pytest.mark.parametrize("text", ["b.png\ndeep/er/a.PNG\n", "b.png x.png\ndeep/er/a.PNG y.png\n", "b.png\tx.png\n"])
def test_value_find_images_of_a_list(photos, text):
    for name in ("x.png", "y.png"):
        Image.new("L", (14, 11)).save(photos / name)
    (photos / "list.txt").write_text(text)
    found, root = find_images(str(photos / "list.txt"))
    assert names(found, root) == ["b.png", "deep/er/a.PNG"][: text.count("\n")]


def test_value_a_list_may_begin_elsewhere_and_misses_are_warned_of(photos, tmp_path, caplog):
    (tmp_path / "list.txt").write_text("deep/er/a.PNG|c.jpg\nnone.png|c.jpg\n")
    with caplog.at_level(logging.WARNING):
        found, _ = find_images(str(tmp_path / "list.txt"), str(photos), "|")
    assert found == [photos / "deep" / "er" / "a.PNG"]
    assert "none.png" in caplog.text


def test_error_find_images(photos, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no image in this directory; looked for \.bmp"):
        find_images(str(tmp_path / "empty"))
    with pytest.raises(DataError, match="no such file or directory"):
        find_images(str(tmp_path / "none"))
    (tmp_path / "list.txt").write_text("none.png\n")
    with pytest.raises(DataError, match="no line of this list names an image"):
        find_images(str(tmp_path / "list.txt"))


def test_value_ids_overlay_and_probabilities(photos, tmp_path):
    transforms = build_transforms([Component("Normalize")], True)
    result = predict(
        Brightest(), [photos / "b.png"], photos, transforms, EvalConfig(), tmp_path, PALETTE, save_probabilities=True
    )
    assert (result.written, result.skipped) == (1, ())
    image = np.asarray(Image.open(photos / "b.png"))
    ids = image.argmax(axis=2)
    written = Image.open(tmp_path / "pseudo_color_prediction" / "b.png")
    assert np.array_equal(np.asarray(written), ids)
    assert np.array_equal(np.asarray(written.convert("RGB")), PALETTE[ids])
    laid_over = np.asarray(Image.open(tmp_path / "added_prediction" / "b.png"))
    assert np.abs(laid_over - (0.6 * image + 0.4 * PALETTE[ids])).max() <= 0.5 + 1e-6
    with np.load(tmp_path / "probabilities" / "b.npz") as file:
        found = file["probabilities"]
    exponentials = np.exp(((image / 255 - 0.5) / 0.5).transpose(2, 0, 1))
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, exponentials / exponentials.sum(axis=0), atol=1e-3)


def test_value_a_resizing_transform_is_undone_on_the_logits(photos, tmp_path):
    transforms = build_transforms([Component("Resize", {"target_size": [9, 5]}), Component("Normalize")], False)
    predict(Brightest(), [photos / "b.png"], photos, transforms, EvalConfig(), tmp_path, PALETTE)
    small = cv2.resize(cv2.imread(str(photos / "b.png")), (9, 5), interpolation=cv2.INTER_LINEAR)
    values = ((small.astype(np.float32) / 255 - 0.5) / 0.5).astype(np.float32)
    wanted = cv2.resize(values, (14, 11), interpolation=cv2.INTER_LINEAR).argmax(axis=2)
    found = np.asarray(Image.open(tmp_path / "pseudo_color_prediction" / "b.png"))
    assert np.mean(found != wanted) < 0.01, "ties of rounding apart"


def test_value_unreadable_images_are_skipped_by_name(photos, tmp_path, caplog):
    (photos / "d.png").write_bytes(b"no image")
    images, root = find_images(str(photos))
    transforms = build_transforms([Component("Normalize")], True)
    with caplog.at_level(logging.WARNING):
        result = predict(Brightest(), images, root, transforms, EvalConfig(), tmp_path / "out", PALETTE)
    assert result.written == 3
    assert result.skipped == (str(photos / "d.png"),)
    assert "d.png" in caplog.text
    written = sorted((tmp_path / "out" / "added_prediction").rglob("*.png"))
    assert names(written, tmp_path / "out" / "added_prediction") == ["b.png", "c.png", "deep/er/a.png"]
    with pytest.raises(DataError, match=r"none of the 1 images could be read, .*d\.png first"):
        predict(Brightest(), [photos / "d.png"], root, transforms, EvalConfig(), tmp_path / "out", PALETTE)


def test_value_the_command_takes_what_the_config_names(folder, tmp_path, capsys):  # noqa: F811
    config = run(section(folder, "train"), section(folder, "val"))
    assert validation_images(config) == ([folder / f"{n}.png" for n in range(4)], folder)
    result = predict_command(config, Brightest, None, tmp_path / "val")
    assert result.written == 4
    assert f"4 predictions in {tmp_path / 'val'}" in capsys.readouterr().out

    (tmp_path / "vis.txt").write_text("2.png\n")
    files = FilesConfig(predict_images=str(tmp_path / "vis.txt"), predict_root=str(folder))
    predict_command(config.replace(files=files), Brightest, None, tmp_path / "vis", [9, 8, 7] * 3)
    (written,) = (tmp_path / "vis" / "pseudo_color_prediction").glob("*.png")
    assert written.name == "2.png"
    assert Image.open(written).getpalette()[:9] == [9, 8, 7] * 3


def test_error_the_command_without_images_or_with_wrong_colours(folder, tmp_path):  # noqa: F811
    config = run(section(folder, "train"))
    with pytest.raises(ConfigError, match="val_dataset"):
        predict_command(config, Brightest, None, tmp_path)
    never = Path("never")
    with pytest.raises(ConfigError, match="custom_color"):
        predict_command(config, Brightest, str(folder / "0.png"), tmp_path / never, [1, 2, 3, 4])
    assert not (tmp_path / never).exists()


def test_error_a_transform_that_cannot_be_undone(folder, tmp_path):  # noqa: F811
    steps = (Component("RandomHorizontalFlip"), Component("Normalize"))
    data = DatasetConfig(section(folder, "val").dataset, steps)
    with pytest.raises(ConfigError, match="RandomHorizontalFlip"):
        predict_command(run(None, data), Brightest, str(folder / "0.png"), tmp_path)


def test_value_files_of_one_stem_keep_apart(tmp_path):
    for name in ("a.png", "a.bmp", "b.png"):
        Image.fromarray(np.full((6, 8, 3), 9, np.uint8)).save(tmp_path / name)
    images, root = find_images(str(tmp_path))
    out = tmp_path / "out"
    assert predict(Brightest(), images, root, build_transforms((), True), EvalConfig(), out, PALETTE).written == 3
    names = sorted(p.name for p in (out / "added_prediction").iterdir())
    assert names == ["a.bmp.png", "a.png.png", "b.png"]


def test_value_probabilities_cost_no_second_inference(tmp_path):
    class Counting(Brightest):
        calls = 0

        def logits(self, images):
            self.calls += 1
            return images

        def class_ids(self, images):
            self.calls += 1
            return super().class_ids(images)

    rng = np.random.default_rng(3)
    Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8)).save(tmp_path / "a.png")
    images, root = find_images(str(tmp_path / "a.png"))
    written = {}
    for asked in (False, True):
        network = Counting()
        out = tmp_path / str(asked)
        predict(network, images, root, build_transforms((), True), EvalConfig(), out, PALETTE, asked)
        assert network.calls == 1
        written[asked] = np.array(Image.open(out / "pseudo_color_prediction" / "a.png"))
    np.testing.assert_array_equal(written[True], written[False])
