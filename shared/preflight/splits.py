"""Images that stand in the training and in the validation set."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence

from shared.datasets.base import Record

_BLOCK = 1 << 20


def images_in_both(
    train: Sequence[Record], val: Sequence[Record], most_compared: int | None = None
) -> list[tuple[Record, Record]]:
    """Pairs (validation record, training record) of one file, or of two files with the same bytes.

    Args:
        most_compared: read no more files than this to compare their bytes; None: as many as have an equal in size.
    """
    by_path = {os.path.realpath(record.image): record for record in train}
    pairs = []
    others = []
    for record in val:
        same = by_path.get(os.path.realpath(record.image))
        if same is not None:
            pairs.append((record, same))
        else:
            others.append(record)
    return pairs + _with_equal_bytes(train, others, most_compared)


def _with_equal_bytes(
    train: Sequence[Record], val: Sequence[Record], most_compared: int | None
) -> list[tuple[Record, Record]]:
    by_size: dict[int, list[Record]] = defaultdict(list)
    for record in train:
        size = _size(record.image)
        if size:
            by_size[size].append(record)
    digests: dict[str, bytes] = {}
    pairs = []
    for record in val:
        candidates = by_size.get(_size(record.image), [])
        if most_compared is not None and len(digests) + len(candidates) >= most_compared:
            break
        same = [other for other in candidates if _digest(other.image, digests) == _digest(record.image, digests)]
        pairs += [(record, same[0])] if same else []
    return pairs


def _size(path: str) -> int:
    """Bytes of the file; 0 where it cannot be had, which is another check's finding."""
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def _digest(path: str, known: dict[str, bytes]) -> bytes:
    """Of the file's bytes; of its name where it cannot be read, so that it equals no other."""
    if path not in known:
        digest = hashlib.blake2b()
        try:
            with open(path, "rb") as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
        except OSError:
            digest.update(os.fsencode(path))
        known[path] = digest.digest()
    return known[path]
