"""Pictures of label maps, read back with OpenCV and Pillow."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from shared.visualize.palette import default_palette
from shared.visualize.panels import side_by_side
from shared.visualize.render import colorize, overlay, save_index_png, save_rgb

IDS = np.array([[0, 1, 2], [255, 2, 0]], np.int32)
PALETTE = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90]], np.uint8)


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_value_colorize():
    picture = colorize(IDS, PALETTE)
    assert picture.dtype == np.uint8
    assert picture.tolist() == [
        [[10, 20, 30], [40, 50, 60], [70, 80, 90]],
        [[255, 255, 255], [70, 80, 90], [10, 20, 30]],
    ]


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_value_colorize_types(dtype):
    ids = np.random.default_rng(1).integers(0, 256, (9, 8)).astype(dtype)
    np.testing.assert_array_equal(colorize(ids, default_palette(256)), default_palette(256)[ids])


def test_value_colorize_negative_ignore():
    assert colorize(np.array([[-1, 0]]), PALETTE, ignore_index=-1).tolist() == [[[255] * 3, [10, 20, 30]]]


def test_value_overlay():
    image = np.full((2, 3, 3), 100, np.uint8)
    mixed = overlay(image, IDS, PALETTE)
    # 0.6 of the image and 0.4 of the colour, as paddleseg 2.8.0's visualize mixes them with weight=0.6
    assert mixed[0].tolist() == [[64, 68, 72], [76, 80, 84], [88, 92, 96]]
    assert mixed[1, 0].tolist() == [100, 100, 100]
    assert image.tolist() == np.full((2, 3, 3), 100).tolist()


def test_value_overlay_ends(photo):
    ids = np.random.default_rng(1).integers(0, 3, photo.shape[:2])
    np.testing.assert_array_equal(overlay(photo, ids, PALETTE, alpha=1), photo)
    np.testing.assert_array_equal(overlay(photo, ids, PALETTE, alpha=0.0), PALETTE[ids])


@pytest.mark.parametrize("name", ["ids.png", "mit Leerzeichen/größe/ラベル.png"])
def test_value_index_png(tmp_path, name):
    save_index_png(tmp_path / name, IDS, PALETTE)
    with Image.open(tmp_path / name) as picture:
        assert (picture.format, picture.mode) == ("PNG", "P")
        np.testing.assert_array_equal(np.asarray(picture), IDS)
        np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), colorize(IDS, PALETTE))


def test_value_index_png_every_id(tmp_path):
    ids = np.arange(256, dtype=np.uint8).reshape(8, 32)
    save_index_png(tmp_path / "ids.png", ids[:, ::-1], default_palette(256))
    with Image.open(tmp_path / "ids.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), ids[:, ::-1])
        np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), default_palette(256)[ids[:, ::-1]])


@pytest.mark.parametrize("name", ["picture.png", "größe/写真.bmp", "a/b/picture.PNG"])
def test_value_save_rgb(tmp_path, photo, name):
    save_rgb(tmp_path / name, photo)
    with Image.open(tmp_path / name) as picture:
        np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), photo)


def test_value_save_jpeg(tmp_path):
    smooth = np.zeros((32, 32, 3), np.uint8)
    smooth[...] = (200, 90, 30)
    save_rgb(tmp_path / "picture.jpg", smooth)
    with Image.open(tmp_path / "picture.jpg") as picture:
        assert picture.format == "JPEG"
        assert np.abs(np.asarray(picture).astype(int) - smooth).max() <= 3


def test_value_side_by_side(photo):
    small = cv2.resize(photo, (30, 20))
    sheet = side_by_side([photo, small], ["left", "right"])
    # gap 12, panel 60, gap 12, the other one enlarged to 60x40, gap 12; letters of 13 pixels above in a band of 26
    assert sheet.shape == (26 + 40 + 12, 12 + 60 + 12 + 60 + 12, 3)
    np.testing.assert_array_equal(sheet[26:66, 12:72], photo)
    np.testing.assert_array_equal(sheet[26:66:2, 84:144:2], small)
    assert (sheet[:26, 12:72] < 128).any(), "no title was written"
    assert (sheet[66:] == 255).all()


def test_value_side_by_side_legend(photo):
    legend = [(f"class {k}", colour) for k, colour in enumerate(default_palette(12))]
    sheet = side_by_side([photo], ["t"], legend)
    below = sheet[26 + 40 :].reshape(-1, 3)
    for name, colour in legend:
        assert (below == colour).all(axis=1).sum() >= 100, f"{name} has no box"
    assert sheet.shape[1] == 84
    assert sheet.shape[0] > side_by_side([photo], ["t"], legend[:1]).shape[0]


def test_shape_side_by_side_height_and_long_texts(photo):
    sheet = side_by_side(
        [photo], ["a title much wider than the panel below it"], [("道路 " * 30, (1, 2, 3))], height=20
    )
    assert sheet.shape[1] == 30 + 24
    assert (sheet[:, 45:] == 255).all(axis=2).any()
    assert (sheet[:26, :5] == 255).all()


@pytest.mark.parametrize(("value", "dtype"), [(3, np.uint8), (-1, np.int32), (254, np.int64)])
def test_error_colorize(value, dtype):
    ids = np.zeros((2, 2), dtype)
    ids[1, 0] = value
    with pytest.raises(ValueError, match=f"the value {value}; expected 0..2 or ignore_index 255"):
        colorize(ids, PALETTE)


def test_error_overlay(photo):
    with pytest.raises(ValueError, match=r"uint8 of shape \(40, 60, 3\); expected uint8 of shape \(2, 3, 3\)"):
        overlay(photo, IDS, PALETTE)
    with pytest.raises(ValueError, match="the image is float32"):
        overlay(photo.astype(np.float32), np.zeros(photo.shape[:2], int), PALETTE)
    with pytest.raises(ValueError, match=r"alpha is 1\.5"):
        overlay(photo, np.zeros(photo.shape[:2], int), PALETTE, alpha=1.5)


def test_error_save(tmp_path, photo):
    with pytest.raises(ValueError, match="the value 256; a palette PNG"):
        save_index_png(tmp_path / "a.png", np.array([[256, 0]]), PALETTE)
    with pytest.raises(ValueError, match="the value -1"):
        save_index_png(tmp_path / "a.png", np.array([[-1, 0]]), PALETTE)
    with pytest.raises(ValueError, match=r"shape \(1, 2, 3\)"):
        save_index_png(tmp_path / "a.png", np.zeros((1, 2, 3), int), PALETTE)
    with pytest.raises(ValueError, match=r"cannot write a picture named 'a\.txt'"):
        save_rgb(tmp_path / "a.txt", photo)
    with pytest.raises(ValueError, match="the image is float64"):
        save_rgb(tmp_path / "a.png", photo / 255)
    assert not list(tmp_path.iterdir())


def test_error_side_by_side(photo):
    with pytest.raises(ValueError, match="got 1 panels and 2 titles"):
        side_by_side([photo], ["a", "b"])
    with pytest.raises(ValueError, match="got 0 panels"):
        side_by_side([], [])
    with pytest.raises(ValueError, match="a panel is float64"):
        side_by_side([photo / 255], ["a"])
