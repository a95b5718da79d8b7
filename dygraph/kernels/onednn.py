"""oneDNN, which Paddle carries along, called through its C interface: tensors in Paddle's layout in and out.

The constants are those of ``dnnl_types.h``, version 3 (https://oneapi-src.github.io/oneDNN).
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Sequence
from ctypes import byref, c_int, c_int64, c_size_t, c_void_p
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import paddle
from paddle import Tensor

_VERSION = 3
_LIBRARIES = ("libdnnl.so.3", "mkldnn.dll", "dnnl.dll")
_MOST_AXES = 12
_OUT_OF_MEMORY = 1
_CPU, _IN_ORDER = 1, 1
_FLOAT32, _FLOAT32_BYTES = 3, 4
_ANY_LAYOUT = 1
_PLAIN_LAYOUT = {4: 5, 5: 6}  # by axes: abcd, abcde
_FROM, _TO = 1, 17
_LAYOUT_QUERY = {1: 129, 17: 133, 33: 131, 129: 130, 145: 134, 161: 132}  # by the argument it asks about
_SCRATCHPAD, _SCRATCHPAD_QUERY, _SCRATCHPAD_IS_GIVEN, _CONSUMPTION_QUERY = 80, 136, 1, 6
_MOST_SCRATCH_KEPT = 2**24
_lock = threading.Lock()

SOURCE, TARGET, WEIGHTS = 1, 17, 33
SOURCE_GRADIENT, TARGET_GRADIENT, WEIGHTS_GRADIENT = 129, 145, 161
FORWARD_TRAINING, DIRECT_CONVOLUTION = 64, 1
ACCURATE_SOFTMAX = 0x30000


class OneDNNError(RuntimeError):
    """A function of oneDNN gave another status than success."""


class Handle(c_void_p):
    """An object of oneDNN, destroyed when Python forgets its handle."""


class _Argument(ctypes.Structure):
    _fields_ = (("name", c_int), ("memory", c_void_p))


class _Version(ctypes.Structure):
    _fields_ = tuple((name, c_int) for name in ("major", "minor", "patch"))


class Operand(NamedTuple):
    """What a primitive reads or writes: its name there, and its shape in Paddle's layout."""

    name: int
    shape: Sequence[int]
    written: bool = False


class LaidOut(NamedTuple):
    """A tensor, and the same in the layout of a primitive's operand."""

    tensor: Tensor
    numbers: Tensor
    layout: c_void_p


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The oneDNN this process has loaded with Paddle; None if there is none, or one of another version."""
    folder = Path(paddle.__file__).parent / "libs"
    found = next((folder / name for name in _LIBRARIES if (folder / name).is_file()), None)
    if found is None:
        return None
    loaded = ctypes.CDLL(str(found))
    loaded.dnnl_version.restype = ctypes.POINTER(_Version)
    loaded.dnnl_memory_desc_get_size.restype = c_size_t
    loaded.dnnl_primitive_desc_query_md.restype = c_void_p
    return loaded if loaded.dnnl_version().contents.major == _VERSION else None


def sizes(numbers: Sequence[int]) -> ctypes.Array:
    """Sizes of axes as oneDNN takes them."""
    return (c_int64 * _MOST_AXES)(*numbers)


def any_layout(shape: Sequence[int]) -> Handle:
    """Describes a float32 tensor whose layout a primitive may choose."""
    return _described(shape, _ANY_LAYOUT)


def plain_layout(shape: Sequence[int]) -> Handle:
    """Describes a float32 tensor as Paddle lays it out."""
    return _described(shape, _PLAIN_LAYOUT[len(shape)])


def description(kind: str, *arguments: Handle | ctypes.Array | int | None) -> Handle:
    """A primitive of ``kind`` (``convolution_forward``, say) as oneDNN will compute it."""
    create = f"dnnl_{kind}_primitive_desc_create"
    described = _created("primitive_desc", create, engine(), *arguments, None)
    if _scratch_bytes(described) <= _MOST_SCRATCH_KEPT:
        return described
    return _created("primitive_desc", create, engine(), *arguments, _lent_scratchpad())


def _scratch_bytes(described: Handle) -> int:
    """What oneDNN will keep for the primitive to work in; it keeps that of the one that needs the most."""
    found = c_int64()
    status = library().dnnl_primitive_desc_query(described, _CONSUMPTION_QUERY, 0, byref(found))
    _check(status, "dnnl_primitive_desc_query")
    return found.value


@lru_cache(maxsize=1)
def _lent_scratchpad() -> Handle:
    """Has each call of a primitive lend it memory to work in."""
    made = _created("primitive_attr", "dnnl_primitive_attr_create")
    function = "dnnl_primitive_attr_set_scratchpad_mode"
    _check(getattr(library(), function)(made, _SCRATCHPAD_IS_GIVEN), function)
    return made


@lru_cache(maxsize=1)
def engine() -> Handle:
    """The CPU."""
    return _created("engine", "dnnl_engine_create", _CPU, c_size_t(0))


class Primitive:
    """A computation of oneDNN between float32 tensors of fixed shapes in Paddle's layout.

    Where it wants another layout, tensors are brought into it and back; what that takes lasts as long as one call.

    Args:
        described: from :func:`description`.
        operands: in the order in which the tensors will be given.
    """

    def __init__(self, described: Handle, operands: Sequence[Operand]) -> None:
        self._handle = _created("primitive", "dnnl_primitive_create", described)
        self._places = [_Place(described, operand) for operand in operands]
        room = c_void_p(library().dnnl_primitive_desc_query_md(described, _SCRATCHPAD_QUERY, 0))
        self._room = -(-library().dnnl_memory_desc_get_size(room) // _FLOAT32_BYTES)
        self._room_memory = _memory(room)
        given = [*((place.operand.name, place.memory) for place in self._places), (_SCRATCHPAD, self._room_memory)]
        self._arguments = (_Argument * len(given))(*given)

    def laid_out(self, position: int, tensor: Tensor) -> LaidOut:
        """``tensor`` as this primitive wants that operand, for its next call and for others that may want the same."""
        with _lock:
            return self._places[position].laid_out(tensor)

    def __call__(self, *tensors: Tensor | LaidOut) -> None:
        """Read the operands, write those that are written; all are float32 on the CPU and contiguous."""
        with _lock:  # the memories below point at the tensors of one call
            borrowed = [place.hold(tensor) for place, tensor in zip(self._places, tensors)]
            room = paddle.empty([self._room], "float32") if self._room else None
            if room is not None:
                _point(self._room_memory, room)
            _execute(self._handle, self._arguments)
            for place in self._places:
                place.give_back()
            del borrowed, room


class _Place:
    """One operand of a primitive, with the way between Paddle's layout and the primitive's."""

    def __init__(self, described: Handle, operand: Operand) -> None:
        self.operand = operand
        self._owner = described
        wanted = c_void_p(library().dnnl_primitive_desc_query_md(described, _LAYOUT_QUERY[operand.name], 0))
        plain = plain_layout(operand.shape)
        self._layout = wanted
        self.memory = _memory(wanted)
        self._plain_memory = None
        if not library().dnnl_memory_desc_equal(wanted, plain):
            self._plain_memory = _memory(plain)
            self._numbers = library().dnnl_memory_desc_get_size(wanted) // _FLOAT32_BYTES
            self._reorder = _reorder(wanted, plain) if operand.written else _reorder(plain, wanted)
            ends = (self.memory, self._plain_memory) if operand.written else (self._plain_memory, self.memory)
            self._arguments = (_Argument * 2)((_FROM, ends[0]), (_TO, ends[1]))

    def laid_out(self, tensor: Tensor) -> LaidOut:
        """``tensor`` in the primitive's layout; of one that is written, the room for it."""
        if self._plain_memory is None:
            return LaidOut(tensor, tensor, self._layout)
        numbers = paddle.empty([self._numbers], "float32")
        _point(self._plain_memory, tensor)
        _point(self.memory, numbers)
        if not self.operand.written:
            _execute(self._reorder, self._arguments)
        return LaidOut(tensor, numbers, self._layout)

    def hold(self, tensor: Tensor | LaidOut) -> LaidOut:
        """Have the primitive use ``tensor``, which must live until it was computed, like what this returns."""
        held = tensor
        if not isinstance(held, LaidOut):
            held = self.laid_out(held)
        elif not library().dnnl_memory_desc_equal(held.layout, self._layout):
            held = self.laid_out(held.tensor)
        _point(self.memory, held.numbers)
        return held

    def give_back(self) -> None:
        """After the primitive: what it wrote, into the tensor."""
        if self.operand.written and self._plain_memory is not None:
            _execute(self._reorder, self._arguments)


def _described(shape: Sequence[int], layout: int) -> Handle:
    create = "dnnl_memory_desc_create_with_tag"
    return _created("memory_desc", create, len(shape), sizes(shape), _FLOAT32, layout)


def _memory(described: Handle | c_void_p) -> Handle:
    return _created("memory", "dnnl_memory_create", described, engine(), None)


def _point(memory: Handle, tensor: Tensor) -> None:
    _check(library().dnnl_memory_set_data_handle(memory, c_void_p(tensor.data_ptr())), "dnnl_memory_set_data_handle")


def _reorder(source: Handle | c_void_p, target: Handle | c_void_p) -> Handle:
    create = "dnnl_reorder_primitive_desc_create"
    described = _created("primitive_desc", create, source, engine(), target, engine(), None)
    return _created("primitive", "dnnl_primitive_create", described)


@lru_cache(maxsize=1)
def _stream() -> Handle:
    return _created("stream", "dnnl_stream_create", engine(), _IN_ORDER)


def _execute(primitive: Handle, arguments: ctypes.Array) -> None:
    """Compute; on a CPU that has ended when this returns."""
    status = library().dnnl_primitive_execute(primitive, _stream(), len(arguments), arguments)
    _check(status, "dnnl_primitive_execute")


def _created(kind: str, function: str, *arguments: Handle | c_void_p | ctypes.Array | int | None) -> Handle:
    handle = Handle()
    _check(getattr(library(), function)(byref(handle), *arguments), function)
    destroy = getattr(library(), f"dnnl_{kind}_destroy")
    weakref.finalize(handle, destroy, c_void_p(handle.value)).atexit = False
    return handle


def _check(status: int, function: str) -> None:
    if status == _OUT_OF_MEMORY:
        raise MemoryError(f"oneDNN has no memory for {function}")
    if status:
        raise OneDNNError(f"{function} of oneDNN ended with status {status}")
