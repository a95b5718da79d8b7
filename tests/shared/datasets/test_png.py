"""The fast PNG decoder against OpenCV: equal pixels, or no pixels."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from shared.datasets import png
from shared.datasets.image_file import open_image_file
from shared.datasets.png import decode_png
from shared.datasets.reading import read_image, read_label
from shared.errors import DataError

pytest.importorskip("imagecodecs", reason="the extra 'png' is not installed")

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (37, 53, 3), dtype=np.uint8)
GREY = RGB[..., 0].copy()


def encoded(pixels: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", **options)
    return stream.getvalue()


def with_chunk(data: bytes, kind: bytes, content: bytes, before: bytes = b"IDAT") -> bytes:
    at = data.index(before) - 4
    chunk = kind + content
    return data[:at] + struct.pack(">I", len(content)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[at:]


def text(key: str, value: str) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text(key, value)
    return info


def interlaced(pixels: np.ndarray) -> bytes:
    """Adam7 by hand: no writer at hand does it."""
    channels = pixels.shape[2:] or (1,)
    rows = b""
    for y, x, dy, dx in (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ):
        rows += b"".join(b"\0" + row.tobytes() for row in pixels[y::dy, x::dx])
    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if channels == (3,) else 0, 0, 0, 1)
    empty = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 0) + b"IEND\xaeB`\x82"
    return with_chunk(with_chunk(empty, b"IHDR", header, b"IEND"), b"IDAT", zlib.compress(rows), b"IEND")


def exif() -> bytes:
    tags = Image.Exif()
    tags[0x0112] = 6
    return tags.tobytes()


PLAIN = {
    "rgb": encoded(RGB),
    "grey": encoded(GREY),
    "opencv": cv2.imencode(".png", RGB)[1].tobytes(),
    "filters": cv2.imencode(".png", RGB, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes(),
    "one pixel": encoded(RGB[:1, :1]),
    "larger than a stored block": encoded(np.tile(RGB, (9, 7, 1))),
    "text": encoded(RGB, pnginfo=text("Software", "a camera")),
    "gamma": with_chunk(encoded(RGB), b"gAMA", struct.pack(">I", 22000)),
    "gamma of a label": with_chunk(encoded(GREY), b"gAMA", struct.pack(">I", 22000)),
    "sRGB": with_chunk(encoded(RGB), b"sRGB", b"\0"),
    "background": with_chunk(encoded(RGB), b"bKGD", struct.pack(">HHH", 1, 2, 3)),
    "background of a label": with_chunk(encoded(GREY), b"bKGD", struct.pack(">H", 7)),
    "resolution": encoded(RGB, dpi=(72, 72)),
    "profile": encoded(RGB, icc_profile=b"x" * 200),
    "bytes behind the end": encoded(RGB) + b"and more",
}
OTHERS = {
    "interlaced": interlaced(RGB),
    "interlaced grey": interlaced(GREY),
    "exif": with_chunk(encoded(RGB), b"eXIf", exif()),
    "exif behind the pixels": with_chunk(encoded(RGB), b"eXIf", exif(), b"IEND"),
    "exif in a text": encoded(RGB, pnginfo=text("Raw profile type exif", "exif 8 00")),
    "transparent colour": with_chunk(encoded(RGB), b"tRNS", struct.pack(">HHH", *RGB[3, 4].tolist())),
    "transparent grey": with_chunk(encoded(GREY), b"tRNS", struct.pack(">H", int(GREY[3, 4]))),
    "alpha": encoded(np.dstack([RGB, GREY])),
    "16 bits": encoded(GREY.astype(np.uint16) * 256 + 77),
    "1 bit": encoded(GREY > 127),
    "animation": with_chunk(encoded(RGB), b"acTL", struct.pack(">II", 1, 0)),
    "an unknown chunk": with_chunk(encoded(RGB), b"abCd", b"content"),
}


def saved(folder, data: bytes):
    path = folder / "a.png"
    path.write_bytes(data)
    return open_image_file(str(path))


def by_opencv(data: bytes, flags: int) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), flags)


@pytest.mark.parametrize("name", PLAIN)
def test_value_plain_files_have_equal_pixels(tmp_path, name):
    file = saved(tmp_path, PLAIN[name])
    found = decode_png(file)
    assert found is not None
    assert found.dtype == np.uint8
    grey = found.ndim == 2
    expected = by_opencv(file.data, cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(found if grey else found[..., ::-1], expected)


@pytest.mark.parametrize("name", OTHERS)
def test_value_other_files_are_left_to_opencv(tmp_path, name):
    assert decode_png(saved(tmp_path, OTHERS[name])) is None


@pytest.mark.parametrize("name", [*PLAIN, *OTHERS])
def test_value_reading_does_not_depend_on_the_decoder(tmp_path, name, monkeypatch):
    path = saved(tmp_path, {**PLAIN, **OTHERS}[name]).path
    read = [read_image] if "rgb" in name else [read_image, lambda p: read_image(p, rgb=True)]
    if name in ("grey", "interlaced grey", "gamma of a label"):
        read.append(read_label)
    with_spng = [one(path) for one in read]
    monkeypatch.setattr(png, "spng_decode", None)
    for one, expected in zip(read, with_spng):
        np.testing.assert_array_equal(one(path), expected)


@pytest.mark.parametrize("name", ["rgb", "grey", "opencv"])
def test_value_damaged_files_never_give_other_pixels(tmp_path, name):
    data = PLAIN[name]
    rng = np.random.default_rng(1)
    for position in rng.integers(8, len(data) - 12, 600):
        broken = bytearray(data)
        broken[position] ^= 1 << int(rng.integers(8))
        (tmp_path / "a.png").write_bytes(broken)
        try:
            file = open_image_file(str(tmp_path / "a.png"))
        except DataError:
            continue
        found = decode_png(file)
        if found is None:
            continue
        expected = by_opencv(bytes(broken), cv2.IMREAD_GRAYSCALE if found.ndim == 2 else cv2.IMREAD_COLOR)
        assert expected is not None, f"OpenCV refuses what libspng reads (byte {position})"
        np.testing.assert_array_equal(found if found.ndim == 2 else found[..., ::-1], expected)


@pytest.mark.parametrize("extra", [-60, 60])
def test_value_rows_that_are_too_few_or_too_many_are_left_to_opencv(tmp_path, extra):
    data = encoded(GREY)
    header = data[16:20] + struct.pack(">I", GREY.shape[0] + extra // 60) + data[24:29]
    chunk = b"IHDR" + header
    wrong = data[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]
    assert decode_png(saved(tmp_path, wrong)) is None


def test_value_without_the_package_nothing_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(png, "spng_decode", None)
    assert decode_png(saved(tmp_path, PLAIN["rgb"])) is None
