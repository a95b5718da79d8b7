"""Decoding: right pixels for every kind of file, and a sentence for every kind of wrong one.

Files are written with Pillow or byte by byte; expected arrays are the ones they were written from.
"""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from shared.datasets import Dataset
from shared.datasets.base import Record
from shared.datasets.reading import check_label, read_image, read_label, read_sample
from shared.errors import DataError

RGB = np.random.default_rng(0).integers(0, 256, (6, 9, 3)).astype(np.uint8)
IDS = np.random.default_rng(1).integers(0, 4, (6, 9)).astype(np.uint8)
SHUFFLED_PALETTE = [value for index in range(256) for value in (255 - index, index // 2, 7)]


def png(width, height, depth, colour, rows=b""):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def write(path, array, mode=None, **options):
    Image.fromarray(array, mode).save(path, **options) if mode else Image.fromarray(array).save(path, **options)
    return str(path)


def write_palette(path, ids):
    image = Image.fromarray(ids).convert("L")
    image.putpalette(SHUFFLED_PALETTE)
    image.save(path)
    return str(path)


def test_value_image_is_bgr(tmp_path):
    image = read_image(write(tmp_path / "a.png", RGB))
    assert (image.dtype, image.shape, image.flags.c_contiguous) == (np.uint8, (6, 9, 3), True)
    np.testing.assert_array_equal(image, RGB[..., ::-1])


def test_value_image_from_a_path_with_spaces_and_letters(tmp_path):
    (tmp_path / "größe 街").mkdir()
    np.testing.assert_array_equal(read_image(write(tmp_path / "größe 街" / "a b.bmp", RGB)), RGB[..., ::-1])


def test_value_grey_alpha_and_wide_images_become_three_bytes(tmp_path):
    grey = read_image(write(tmp_path / "grey.png", IDS))
    np.testing.assert_array_equal(grey, np.repeat(IDS[..., None], 3, axis=2))
    alpha = read_image(write(tmp_path / "rgba.png", np.dstack([RGB, IDS])))
    np.testing.assert_array_equal(alpha, RGB[..., ::-1])
    wide = read_image(write(tmp_path / "wide.png", IDS.astype(np.uint16) * 256 + 77))
    np.testing.assert_array_equal(wide[..., 0], IDS)


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [(1, lambda a: a), (3, lambda a: a[::-1, ::-1]), (6, lambda a: np.rot90(a, -1)), (8, np.rot90)],
)
def test_value_exif_orientation_turns_the_image(tmp_path, orientation, upright):
    flat = np.kron(np.array([[10, 200], [90, 250], [160, 40]], np.uint8), np.ones((16, 16), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = write(tmp_path / "a.jpg", flat, exif=exif, quality=100)
    np.testing.assert_allclose(read_image(path)[..., 1].astype(int), upright(flat), atol=2)


def test_value_label_formats_keep_their_ids(tmp_path):
    for path in (
        write(tmp_path / "grey.png", IDS),
        write_palette(tmp_path / "palette.png", IDS),
        write_palette(tmp_path / "palette.bmp", IDS),
        write(tmp_path / "grey.bmp", IDS),
        write(tmp_path / "grey.tif", IDS),
    ):
        label = read_label(path)
        assert (label.dtype, label.shape) == (np.uint8, (6, 9))
        np.testing.assert_array_equal(label, IDS, err_msg=path)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_value_label_of_few_bits_keeps_its_ids(tmp_path, depth):
    ids = IDS[:, :8] % (2**depth)
    rows = b"".join(
        b"\0" + np.packbits(np.unpackbits(row[:, None], axis=1)[:, -depth:].ravel()).tobytes() for row in ids
    )
    path = tmp_path / "few.png"
    path.write_bytes(png(8, 6, depth, 0, rows))
    np.testing.assert_array_equal(read_label(str(path)), ids)


def test_value_label_all_bytes_survive(tmp_path):
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(read_label(write(tmp_path / "a.png", every)), every)
    np.testing.assert_array_equal(read_label(write_palette(tmp_path / "b.png", every)), every)
    transparent = write(tmp_path / "c.png", every, transparency=5)
    np.testing.assert_array_equal(read_label(transparent), every)


def test_value_label_exif_turns_with_the_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = write(tmp_path / "a.png", RGB, exif=exif)
    expected = np.rot90(IDS, -1) if read_image(image).shape == (9, 6, 3) else IDS  # OpenCV 4.5 ignores it in PNG
    np.testing.assert_array_equal(read_label(write(tmp_path / "b.png", IDS, exif=exif)), expected)


@pytest.mark.parametrize(
    ("array", "parts"),
    [
        (np.dstack([IDS] * 3), ["3 channels (RGB)", "are equal", "keep one"]),
        (np.dstack([IDS] * 3 + [IDS]), ["4 channels (RGBA)", "are equal"]),
        (RGB, ["3 channels", "colour-coded (54 or more colours)", "replace every colour by its class id"]),
        (np.dstack([IDS, IDS]), ["alpha channel"]),
        (IDS.astype(np.uint16), ["more than 8 bits", "values 0 to 3", "they fit in 8"]),
        (IDS.astype(np.uint16) * 1000, ["values 0 to 3000", "instance ids"]),
    ],
    ids=["rgb-equal", "rgba-equal", "colours", "grey-alpha", "16-bit", "instances"],
)
def test_error_label_of_another_kind(tmp_path, array, parts):
    path = write(tmp_path / "label.png", array)
    with pytest.raises(DataError) as caught:
        read_label(path)
    for part in [path, "8-bit PNG" if "keep one" not in parts and "are equal" not in parts else "channel", *parts]:
        assert part in str(caught.value)


@pytest.mark.parametrize("read", [read_image, read_label])
@pytest.mark.parametrize("suffix", ["png", "jpg", "palette.png"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_error_file_cut_off(tmp_path, read, suffix, share):
    noise = np.random.default_rng(2).integers(0, 256, (64, 64)).astype(np.uint8)
    path = tmp_path / f"a.{suffix}"
    write_palette(path, noise) if "palette" in suffix else write(path, noise)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(DataError, match="cut off after"):
        read(str(path))


def test_error_jpeg_with_a_thumbnail_cut_off(tmp_path):
    noise = np.random.default_rng(2).integers(0, 256, (64, 64)).astype(np.uint8)
    whole, thumbnail = (tmp_path / "a.jpg"), (tmp_path / "thumbnail.jpg")
    write(thumbnail, noise[:8, :8])
    write(whole, noise, exif=b"Exif\0\0" + thumbnail.read_bytes())
    assert read_image(str(whole)).shape == (64, 64, 3)
    whole.write_bytes(whole.read_bytes()[:-200])
    assert b"\xff\xd9" in whole.read_bytes()
    with pytest.raises(DataError, match="cut off"):
        read_image(str(whole))


def test_value_bytes_after_the_end_are_tolerated(tmp_path):
    for name in ("a.png", "a.jpg"):
        path = tmp_path / name
        write(path, RGB)
        before = read_image(str(path))
        path.write_bytes(path.read_bytes() + b"appended by a camera")
        np.testing.assert_array_equal(read_image(str(path)), before)


@pytest.mark.parametrize("read", [read_image, read_label])
def test_error_not_an_image(tmp_path, read):
    path = tmp_path / "a.png"
    path.write_text("<html>404</html>")
    with pytest.raises(DataError, match=r"a\.png: is not an image"):
        read(str(path))
    path.write_bytes(b"")
    with pytest.raises(DataError, match="is empty"):
        read(str(path))
    with pytest.raises(DataError, match=r"lost\.png: cannot be read: No such file.*listed in train\.txt:3"):
        read(str(tmp_path / "lost.png"), "train.txt:3")


def test_error_damaged_in_the_middle(tmp_path):
    noise = np.random.default_rng(3).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    path = tmp_path / "a.png"
    write(path, noise)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="damaged PNG"):
        read_image(str(path))


@pytest.mark.parametrize("read", [read_image, read_label])
def test_error_header_that_announces_too_much(tmp_path, read):
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(png(60000, 60000, 8, 0))
    with pytest.raises(DataError, match="width 60000 x height 60000, more than 268435456 pixels"):
        read(str(bomb))
    jpeg = tmp_path / "bomb.jpg"
    write(jpeg, RGB)
    data = jpeg.read_bytes()
    at = data.index(b"\xff\xc0") + 5
    jpeg.write_bytes(data[:at] + struct.pack(">HH", 65000, 65001) + data[at + 4 :])
    with pytest.raises(DataError, match="width 65001 x height 65000"):
        read(str(jpeg))


def test_value_sample(tmp_path):
    sample = read_sample(Record(write(tmp_path / "a.png", RGB), write(tmp_path / "b.png", IDS), "list:1"))
    np.testing.assert_array_equal(sample.image, RGB)
    assert sample.rgb
    np.testing.assert_array_equal(sample.label, IDS)
    assert (sample.path, sample.undo) == (str(tmp_path / "a.png"), [])
    assert read_sample(Record(str(tmp_path / "a.png"), None, "list:1")).label is None


def test_error_sizes_differ(tmp_path):
    image = write(tmp_path / "a.png", RGB)
    with pytest.raises(DataError, match=r"height 6 x width 9, its label .* height 6 x width 8; they must be equal"):
        read_sample(Record(image, write(tmp_path / "b.png", IDS[:, :8]), "list:1"))
    with pytest.raises(DataError, match="are swapped; transpose or turn the label"):
        read_sample(Record(image, write(tmp_path / "c.png", IDS.T.copy()), "list:1"))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = write(tmp_path / "turned.jpg", RGB, exif=exif)
    with pytest.raises(DataError, match=r"height 9 x width 6, .* are swapped.* EXIF orientation 6"):
        read_sample(Record(turned, write(tmp_path / "d.png", IDS), "list:1"))


@pytest.mark.parametrize("ignore_index", [255, 0, 7])
def test_value_good_labels_pass(ignore_index):
    check_label(np.array([[0, 1, 2, ignore_index]], np.uint8), 3, ignore_index, "a.png")
    check_label(np.arange(256, dtype=np.uint8)[None], 256, ignore_index, "a.png")
    check_label(np.arange(256, dtype=np.uint8)[None], 255, 255, "a.png")


@pytest.mark.parametrize(
    ("values", "num_classes", "ignore_index", "path", "parts"),
    [
        ([0, 0, 0, 255], 2, 254, "m.png", ["value 255 (25 % of the pixels)", "expected 0 to 1", "mask of 0 and 255"]),
        ([0, 128, 128, 128], 2, 255, "m.png", ["value 128 (75 %", "mask of 0 and 128"]),
        ([1, 2, 3, 3], 3, 255, "m.png", ["value 3 (50 %", "count from 1", "subtract 1"]),
        ([0, 1, 2, 3], 3, 255, "m.png", ["value 3 (25 %", "num_classes too small (the labels need 4)"]),
        (list(range(0, 250, 10)), 2, 255, "m.png", ["and 19 more", "interpolation or JPEG", "nearest"]),
        (list(range(40)), 19, 255, "m.png", ["num_classes too small (the labels need 40)"]),
        ([7, 26, 33, 33], 19, 255, "x_gtFine_labelIds.png", ["values 33 (50 %", "26 (25 %", "labelTrainIds"]),
    ],
)
def test_error_label_values_and_the_likely_story(values, num_classes, ignore_index, path, parts):
    with pytest.raises(DataError) as caught:
        check_label(np.array([values], np.uint8), num_classes, ignore_index, path)
    for part in [f"{path}: label value", f"ignore_index {ignore_index}", *parts]:
        assert part in str(caught.value)


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["camvid", "nuclei", "membrane"])
def test_value_real_sets_read_as_opencv_reads_them(real_data, name):
    root = real_data / name
    names = (root / "classes.txt").read_text().split()
    dataset = Dataset(str(root), num_classes=len(names), mode="val", val_path="val.txt")
    assert len(dataset) == len((root / "val.txt").read_text().split("\n")) - 1
    assert dataset.class_names == names
    for record in dataset.records[:: len(dataset) // 6]:
        sample = read_sample(record)
        np.testing.assert_array_equal(sample.image[..., ::-1], cv2.imread(record.image, cv2.IMREAD_COLOR))
        np.testing.assert_array_equal(sample.label, cv2.imread(record.label, cv2.IMREAD_UNCHANGED))
        check_label(sample.label, dataset.num_classes, dataset.ignore_index, record.label)
