"""The bytes of an image file, checked before any decoder sees them: present, complete, of a known format, one picture
and of a sane size.

OpenCV releases differ in what they make of a truncated file (some return the upper part and a warning), so this does
not rely on them.
"""

from __future__ import annotations

import io
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from shared.errors import DataError

MAX_PIXELS = 2**28
MAX_BYTES = 2**31
#: What is read. Decoders of other formats may run programs (PostScript) and have bounds of their own, or none.
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"IEND\xaeB`\x82"
_JPEG_END = b"\xff\xd9"
_EXIF_ORIENTATION = 0x0112
#: What Pillow raises on damaged files; UnidentifiedImageError is an OSError.
_DAMAGED = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, struct.error, OverflowError)


@dataclass(frozen=True)
class ImageFile:
    """A complete image file in memory.

    Attributes:
        data: the file's bytes.
        format: one of :data:`FORMATS`.
        png_type: PNG's (bit depth, colour type), None for other formats.
    """

    path: str
    data: bytes
    format: str
    png_type: tuple[int, int] | None = None


def open_image_file(path: str, origin: str = "") -> ImageFile:
    """Read a file whole and check that it is one image of a known format, not cut off and of at most 2**28 pixels.

    Args:
        path: any file name the system can open, non-ASCII letters included.
        origin: where the file was listed, for the message.

    Raises:
        DataError: names the file and what is wrong with it.
    """
    try:
        _check_kind(path, os.stat(path))
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        listed = f" (listed in {origin})" if origin else ""
        raise DataError(f"{path}: cannot be read: {error.strerror}{listed}", "unreadable") from error
    if not data:
        raise DataError(f"{path}: the file is empty; copy it again", "unreadable")
    if data.startswith(_PNG_SIGNATURE):
        return _open_png(path, data)
    if data.startswith(b"\xff\xd8"):
        return _open_jpeg(path, data)
    return _open_other(path, data)


def _check_kind(path: str, status: os.stat_result) -> None:
    """A pipe would be waited for, and a device read, for ever."""
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, a socket or a device"
        raise DataError(f"{path}: is {kind}, expected a file; correct the list", "unreadable")
    if status.st_size > MAX_BYTES:
        raise DataError(
            f"{path}: has {status.st_size} bytes, more than the {MAX_BYTES} that are read; cut it into tiles",
            "large",
        )


def open_with_pillow(data: bytes) -> Image.Image:
    """Pillow's image, of one of :data:`FORMATS` whatever decoders Pillow has; a context manager."""
    return Image.open(io.BytesIO(data), formats=FORMATS)


def _open_png(path: str, data: bytes) -> ImageFile:
    if len(data) < 33 or data[12:16] != b"IHDR":
        raise _truncated(path, data)
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    _check_pixels(path, width, height)
    if data.rfind(_PNG_END) < 0:  # searched from the end: some programs append to the file
        raise _truncated(path, data)
    for kind, at, length in _png_chunks(data):
        if kind == b"acTL" and length >= 4 and struct.unpack_from(">I", data, at)[0] > 1:
            raise _animated(path, "PNG")
    return ImageFile(path, data, "PNG", (depth, colour))


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, where its content begins, its length) of the chunks before the pixels."""
    at = 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IDAT":
            return
        yield kind, at + 8, min(length, len(data) - at - 8)
        at += 12 + length


def _open_jpeg(path: str, data: bytes) -> ImageFile:
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            raise DataError(f"{path}: damaged JPEG: no marker at byte {at}; copy the file again", "unreadable")
        marker = data[at + 1]
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD7:  # fill byte, or a marker without a length
            at += 1 if marker == 0xFF else 2
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # frame header
            height, width = struct.unpack_from(">HH", data, at + 5)
            _check_pixels(path, width, height)
        if marker == 0xDA:  # the picture begins: an end mark before it would be a thumbnail's
            if data.rfind(_JPEG_END, at) < 0:
                raise _truncated(path, data)
            return ImageFile(path, data, "JPEG")
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    raise _truncated(path, data)


def _open_other(path: str, data: bytes) -> ImageFile:
    try:
        with open_with_pillow(data) as image:
            _check_pixels(path, *image.size)
            if _has_second(image):
                raise _animated(path, image.format or "")
            return ImageFile(path, data, image.format or "")
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: too large: {error}; cut the image into tiles", "large") from error
    except UnidentifiedImageError:
        raise DataError(
            f"{path}: is not an image of a format that is read ({', '.join(FORMATS)}); copy it again, or save it as "
            "PNG or JPEG",
            "unreadable",
        ) from None
    except _DAMAGED as error:
        raise DataError(f"{path}: is a damaged image: {error}; copy it again", "unreadable") from error


def _has_second(image: Image.Image) -> bool:
    """Whether another frame or page follows the first one; only that one is looked for."""
    try:
        image.seek(1)
    except EOFError:
        return False
    return True


def _animated(path: str, kind: str) -> DataError:
    return DataError(
        f"{path}: holds several pictures (an animated or multi-page {kind}), expected one; save the one that is meant "
        "as PNG or JPEG",
        "unreadable",
    )


def _check_pixels(path: str, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise DataError(
            f"{path}: the header announces width {width} x height {height}, more than {MAX_PIXELS} pixels; "
            "cut the image into tiles, or replace the file if that size is wrong",
            "large",
        )


def _truncated(path: str, data: bytes) -> DataError:
    return DataError(f"{path}: the file is cut off after {len(data)} bytes; copy or download it again", "unreadable")


def exif_orientation(file: ImageFile) -> int:
    """The EXIF orientation, 1 (upright) to 8; 5 and above swap height and width."""
    try:
        with open_with_pillow(file.data) as image:
            return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except _DAMAGED:
        return 1
