"""PNG files by libraries faster than OpenCV's decoder, which come with the package ``imagecodecs``.

zlib-ng unpacks the pixels in half the time libpng's zlib takes, and libspng turns filtered rows into pixels. libspng
unpacks by itself with a plain zlib, so it is given the unpacked rows as a PNG of stored blocks.

Only what all decoders read alike goes this way: 8-bit grey or RGB, and no chunk that turns the picture, makes it
transparent or moves it. For all else, and for whatever is refused here, OpenCV has the last word.
"""

from __future__ import annotations

import struct
import threading
import zlib

import numpy as np

from shared.datasets.image_file import ImageFile

try:
    from imagecodecs import spng_decode, zlibng_decode
except ImportError:
    spng_decode = zlibng_decode = None

HAS_FAST_PNG = spng_decode is not None
PLAIN_GREY, PLAIN_RGB = (8, 0), (8, 2)
_HEADER_END = 33  # of the signature and IHDR, which come first
_SIGNATURE_END = 8
_END_CHUNK = b"\0\0\0\0IEND\xaeB`\x82"
_MOST_KEPT = 2**26
_STORED_BYTES = 65535  # most of a stored block
_PLAIN_CHUNKS = frozenset(
    (b"IHDR", b"IDAT", b"IEND", b"pHYs", b"tIME", b"sRGB", b"gAMA", b"cHRM", b"iCCP", b"bKGD")
)  # a background stands behind transparent pixels, which 8-bit grey and RGB have not without tRNS
_TEXT_CHUNKS = frozenset((b"tEXt", b"zTXt", b"iTXt"))
_TEXTS_THAT_MAY_TURN = (b"Raw profile type", b"XML:com.adobe.xmp")


class _Scratch(threading.local):
    """Memory each thread uses again: the system would clear new pages for every image, which takes as long as zlib."""

    def __init__(self) -> None:
        self._buffers: dict[str, np.ndarray] = {}

    def get(self, name: str, size: int) -> np.ndarray:
        """``[size]`` uint8 of any content."""
        if size > _MOST_KEPT:
            return np.empty(size, np.uint8)
        if name not in self._buffers or len(self._buffers[name]) < size:
            self._buffers[name] = np.empty(size, np.uint8)
        return self._buffers[name][:size]


_scratch = _Scratch()


def decode_png(file: ImageFile) -> np.ndarray | None:
    """The pixels of a plain PNG: ``[H, W]`` grey or ``[H, W, 3]`` RGB, uint8.

    None where the file is of another kind or damaged, or ``imagecodecs`` is not installed.
    """
    if spng_decode is None or file.png_type not in (PLAIN_GREY, PLAIN_RGB):
        return None
    width, height = struct.unpack_from(">II", file.data, 16)
    is_interlaced = file.data[28] != 0
    packed = _packed_pixels(file.data)
    if packed is None or is_interlaced:
        return None
    size = height * (1 + width * (1 if file.png_type == PLAIN_GREY else 3))  # each row begins with its filter
    rows = _scratch.get("rows", size + 1)
    try:
        unpacked = zlibng_decode(packed, out=rows)
        return spng_decode(_stored(file.data[:_HEADER_END], rows[:size])) if len(unpacked) == size else None
    except Exception:  # noqa: BLE001 - the package has error classes of its own; OpenCV will say what is wrong
        return None


def _packed_pixels(data: bytes) -> bytes | None:
    """The content of all IDAT chunks; None where it is damaged, or a chunk may change how the pixels are to be read."""
    view, parts, at = memoryview(data), [], _SIGNATURE_END
    while at + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IEND":
            return b"".join(parts)
        if kind in _TEXT_CHUNKS:
            if data.startswith(_TEXTS_THAT_MAY_TURN, at + 8):
                return None
        elif kind not in _PLAIN_CHUNKS:
            return None
        end = at + 12 + size
        if kind == b"IDAT":
            if end > len(data) or zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
                return None
            parts.append(view[at + 8 : end - 4])
        at = end
    return None


def _stored(header: bytes, rows: np.ndarray) -> np.ndarray:
    """A PNG whose pixels are ``rows`` as they are, so that unpacking it is copying; valid until the next call."""
    starts = range(0, len(rows), _STORED_BYTES)
    length = 2 + 5 * len(starts) + len(rows) + 4
    start_of_chunk = len(header) + 4
    made = _scratch.get("made", len(header) + 12 + length + len(_END_CHUNK))

    def put(at: int, content: bytes) -> int:
        made[at : at + len(content)] = np.frombuffer(content, np.uint8)
        return at + len(content)

    at = put(0, header + struct.pack(">I", length) + b"IDAT\x78\x01")
    for start in starts:
        block = rows[start : start + _STORED_BYTES]
        is_last = start + len(block) == len(rows)
        at = put(at, struct.pack("<BHH", is_last, len(block), len(block) ^ 0xFFFF))
        made[at : at + len(block)] = block
        at += len(block)
    at = put(at, struct.pack(">I", zlib.adler32(rows)))
    put(at, struct.pack(">I", zlib.crc32(made[start_of_chunk:at])) + _END_CHUNK)
    return made
