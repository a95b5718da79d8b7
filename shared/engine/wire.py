"""Messages between ranks over a socket: JSON for the structure, raw bytes for NumPy arrays. No pickles: a port is a
port, and a pickle runs code.

::

    4 bytes: length of the head | head, JSON | the arrays' bytes, one after the other

>>> head, chunks = encode({"kind": "value", "value": [1, np.arange(2)]})
>>> decode(head, [bytes(c) for c in chunks])["value"][1].tolist()
[0, 1]
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

_ARRAY = "__array__"
_LENGTH = struct.Struct("!I")
_PLAIN_KINDS = "biuf"
_MOST_HEAD = 1 << 28


def encode(value: Any) -> tuple[bytes, list[memoryview]]:
    """The JSON head of a message and the bytes of the arrays in it.

    Raises:
        TypeError: ``value`` holds what neither JSON nor an array of numbers can.
    """
    arrays: list[np.ndarray] = []

    def plain(item: Any) -> Any:
        if isinstance(item, np.ndarray):
            if item.dtype.kind not in _PLAIN_KINDS:
                raise TypeError(f"an array of {item.dtype} cannot be sent; expected numbers")
            arrays.append(np.ascontiguousarray(item))
            return {_ARRAY: [len(arrays) - 1, item.dtype.str, list(item.shape)]}
        if isinstance(item, np.generic):
            return item.item()
        if isinstance(item, (list, tuple)):
            return [plain(one) for one in item]
        if isinstance(item, dict):
            return {str(key): plain(one) for key, one in item.items()}
        return item

    structure = plain(value)
    head = json.dumps([structure, [a.nbytes for a in arrays]]).encode("utf-8")
    return head, [memoryview(a.reshape(-1)).cast("B") if a.size else memoryview(b"") for a in arrays]


def decode(head: bytes, chunks: Sequence[bytes]) -> Any:
    """The value of a message."""

    def full(item: Any) -> Any:
        if isinstance(item, list):
            return [full(one) for one in item]
        if isinstance(item, dict):
            if _ARRAY in item:
                place, dtype, shape = item[_ARRAY]
                return np.frombuffer(bytearray(chunks[place]), np.dtype(dtype)).reshape(shape)
            return {key: full(one) for key, one in item.items()}
        return item

    return full(json.loads(head)[0])


def send(connection: socket.socket, value: Any) -> None:
    """Send one message; OSError where the other end is gone."""
    head, chunks = encode(value)
    connection.sendall(_LENGTH.pack(len(head)) + head)
    for chunk in chunks:
        connection.sendall(chunk)


def receive(connection: socket.socket) -> Any:
    """Wait for one message.

    Raises:
        EOFError: the other end has closed the connection.
        OSError: the connection is broken.
        ValueError: what came is no message.
    """
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    if length > _MOST_HEAD:
        raise ValueError(f"a message's head of {length} bytes; expected at most {_MOST_HEAD}")
    head = _exactly(connection, length)
    return decode(head, [_exactly(connection, size) for size in json.loads(head)[1]])


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray(size)
    view, got = memoryview(data), 0
    while got < size:
        count = connection.recv_into(view[got:], min(size - got, 1 << 20))
        if count == 0:
            raise EOFError("the connection was closed")
        got += count
    return bytes(data)
