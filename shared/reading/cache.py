"""Decoded samples kept as files that every process maps into its memory, so that a frame is decoded once.

An entry is one file: a header with what it was made from, then the pixels of the image and the label. It is written
aside and renamed, and never changed: whoever has mapped it keeps it, even when it is removed. An entry whose sources
have another size or time of change than the header says is made anew.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import struct
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import cv2
import numpy as np

from shared.datasets.base import Record
from shared.reading.cache_folder import ENTRY_SUFFIX, TEMPORARY_SUFFIX, CacheFolder
from shared.transforms.base import Sample

_MAGIC = b"DualSeg1"
_PAGE = 4096
_PREFIX = struct.Struct("<8sI")


class DecodedCache:
    """Gives decoded samples from the files of a folder, and fills it as far as its bound allows.

    Args:
        folder: where the entries are, with its bound; see :func:`shared.reading.cache_folder.open_folder`.

    Picklable, for worker processes; threads, processes and ranks may share a folder.
    """

    def __init__(self, folder: CacheFolder) -> None:
        self.folder = folder

    def get(self, record: Record, meaning: Sequence[Any], decode: Callable[[], Sample]) -> Sample:
        """The decoded sample of ``record``.

        Args:
            meaning: what the decoded label depends on besides the file (the data set's map of values, ...).
            decode: reads and checks the sample where there is no valid entry; its errors pass through.

        Returns:
            As ``decode`` would; arrays from an entry are private copies of its pages, made where they are written to.
        """
        sources = [record.image] if record.label is None else [record.image, record.label]
        try:
            stamps = [_stamp(path) for path in sources]
        except OSError:
            return decode()  # which says what is wrong with the file
        identity = json.dumps([sources, meaning, cv2.__version__], default=_plain)
        made_from = json.dumps([identity, stamps])
        entry = os.path.join(self.folder.path, hashlib.sha256(identity.encode()).hexdigest()[:40] + ENTRY_SUFFIX)
        with suppress(OSError, ValueError, KeyError):
            sample = self._load(entry, made_from)
            if sample is not None:
                sample.path = record.image
                return sample
        sample = decode()
        try:
            if [_stamp(path) for path in sources] == stamps:  # not replaced while it was read
                self._store(entry, made_from, sample)
        except OSError as error:
            self.folder.stop_filling(f"cannot be written to ({error.strerror})")
        return sample

    def _load(self, path: str, made_from: str) -> Sample | None:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if status.st_atime < self.folder.opened_at:
                os.utime(path, (time.time(), status.st_mtime))  # used: the last to be removed when room is needed
            header, begin = _read_header(file.read(_PAGE), file)
            if header["made_from"] != made_from or status.st_size != begin + header["bytes"]:
                return None
            pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        image = np.frombuffer(pages, np.uint8, header["bytes"], begin)
        pixels = int(np.prod(header["image"]))
        label = image[pixels:].reshape(header["label"]) if header["label"] else None
        return Sample(image[:pixels].reshape(header["image"]), label, rgb=header["rgb"])

    def _store(self, path: str, made_from: str, sample: Sample) -> None:
        arrays = [sample.image] if sample.label is None else [sample.image, sample.label]
        header = {
            "made_from": made_from,
            "image": sample.image.shape,
            "label": None if sample.label is None else sample.label.shape,
            "rgb": sample.rgb,
            "bytes": sum(array.nbytes for array in arrays),
        }
        text = json.dumps(header).encode()
        begin = -(-(_PREFIX.size + len(text)) // _PAGE) * _PAGE
        size = begin + header["bytes"]
        if not self.folder.reserve(size):
            return
        temporary = os.path.join(self.folder.path, uuid.uuid4().hex + TEMPORARY_SUFFIX)
        try:
            with open(temporary, "xb") as file:
                file.write((_PREFIX.pack(_MAGIC, len(text)) + text).ljust(begin, b"\0"))
                for array in arrays:
                    file.write(np.ascontiguousarray(array).data)
                file.flush()
                if self.folder.outlives_machine:
                    os.fsync(file.fileno())
            self.folder.put(temporary, path)
        except OSError:
            with suppress(OSError):
                os.remove(temporary)
                self.folder.release(size)
            raise


def _stamp(path: str) -> list[int]:
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns]


def _plain(value: Any) -> Any:
    return np.asarray(value).tolist()


def _read_header(start: bytes, file: Any) -> tuple[dict[str, Any], int]:
    """The header, and where the pixels begin; ValueError for anything else."""
    magic, length = _PREFIX.unpack_from(start) if len(start) >= _PREFIX.size else (b"", 0)
    if magic != _MAGIC:
        raise ValueError("not an entry of the cache")
    begin = -(-(_PREFIX.size + length) // _PAGE) * _PAGE
    if begin > len(start):
        start += file.read(begin - len(start))
    return json.loads(start[_PREFIX.size : _PREFIX.size + length]), begin
