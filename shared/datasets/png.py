"""PNG files through libspng, which is faster than OpenCV's decoder; it comes with the package ``imagecodecs``.

Only what both decoders read alike goes this way: 8-bit grey or RGB, and no chunk that turns the picture, makes it
transparent or moves it. For all else, and for whatever libspng refuses, OpenCV has the last word.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

from shared.datasets.image_file import ImageFile

try:
    from imagecodecs import spng_decode
except ImportError:
    spng_decode = None

PLAIN_GREY, PLAIN_RGB = (8, 0), (8, 2)
_FIRST_CHUNK = 8
_PLAIN_CHUNKS = frozenset((b"IHDR", b"IDAT", b"IEND", b"pHYs", b"tIME", b"sRGB", b"gAMA", b"cHRM", b"iCCP"))
_TEXT_CHUNKS = frozenset((b"tEXt", b"zTXt", b"iTXt"))
_TEXTS_THAT_MAY_TURN = (b"Raw profile type", b"XML:com.adobe.xmp")


def decode_png(file: ImageFile) -> np.ndarray | None:
    """The pixels of a plain PNG: ``[H, W]`` grey or ``[H, W, 3]`` RGB, uint8.

    None where the file is of another kind or damaged, or ``imagecodecs`` is not installed.
    """
    if spng_decode is None or file.png_type not in (PLAIN_GREY, PLAIN_RGB) or not _has_plain_chunks(file.data):
        return None
    try:
        return spng_decode(file.data)
    except Exception:  # noqa: BLE001 - the package has error classes of its own; OpenCV will say what is wrong
        return None


def _has_plain_chunks(data: bytes) -> bool:
    """Whether every chunk up to the end mark is known not to change how the pixels are to be read.

    The last chunk of pixels is checked here, because libspng stops reading at the last pixel.
    """
    at, end, last_pixels = _FIRST_CHUNK, len(data), None
    while at + 12 <= end:
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IEND":
            return last_pixels is not None and _is_intact(data, *last_pixels)
        if kind in _TEXT_CHUNKS:
            if data.startswith(_TEXTS_THAT_MAY_TURN, at + 8):
                return False
        elif kind not in _PLAIN_CHUNKS:
            return False
        elif kind == b"IDAT":
            last_pixels = at, size
        at += 12 + size
    return False


def _is_intact(data: bytes, at: int, size: int) -> bool:
    view = memoryview(data)
    (expected,) = struct.unpack_from(">I", data, at + 8 + size)
    return zlib.crc32(view[at + 4 : at + 8 + size]) == expected
