"""Paddle's ``.pdparams``/``.pdopt`` files, read without running what they contain.

Such a file is a pickle of ``{name: array}``. A pickle may name any function and call it, so this reader knows a
handful of names only (those NumPy arrays are rebuilt from), puts harmless stand-ins in their place and refuses every
other. Sizes are checked against the bytes that are there before memory is taken.

Forms understood: every pickle protocol, NumPy 1 and 2, values that are arrays or ``(tensor name, array)``, the slices
that ``paddle.save`` cuts arrays above 1 GiB into (protocols 2 and 3), and nested dicts (``master_weights``).
"""

from __future__ import annotations

import io
import math
import os
import pickle
import pickletools
import re
from collections.abc import Callable, Mapping
from typing import IO, Any

import numpy as np

from shared.errors import CheckpointError

MAX_BYTES = 16 * 1024**3
_MAX_DEPTH = 4
_MAX_TENSORS = 100_000
_SLICES = "UnpackBigParamInfor@@"
_NOT_TENSORS = ("StructuredToParameterName@@", "LR_Scheduler", _SLICES)
_DTYPE_CODE = re.compile(r"(b1|[iu][1248]|f[248])\Z")
_LENGTH_OPCODES = ("FRAME", "PUT", "LONG_BINPUT", "GET", "LONG_BINGET")
_BAD_PICKLE = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, KeyError, IndexError, ImportError),
    *(MemoryError, OverflowError, RecursionError),
)


def load_pdparams(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read a ``.pdparams`` or ``.pdopt`` file.

    Returns:
        name -> writable C-contiguous array. Nested dicts become ``"<key>/<name>"``; the learning-rate schedule and
        Paddle's own table of names are left out. Paddle stores bfloat16 as uint16; it comes back as float32.

    Raises:
        CheckpointError: the file is missing, too large, damaged, not a pickle of named arrays, or names a function
            that no weights file needs.
    """
    source = str(path)
    if not os.path.isfile(path):
        raise CheckpointError(f"{source} is not a file; give a .pdparams file")
    try:
        with open(path, "rb") as file:
            return read_pdparams(file, source)
    except OSError as error:
        raise CheckpointError(f"{source} cannot be read: {error}") from error


def read_pdparams(file: IO[bytes], source: str) -> dict[str, np.ndarray]:
    """:func:`load_pdparams` for an open, seekable binary file; ``source`` names it in errors."""
    size = file.seek(0, io.SEEK_END)
    if size > MAX_BYTES:
        raise CheckpointError(f"{source} has {size} bytes; weights files up to {MAX_BYTES} bytes are read")
    try:
        file.seek(0)
        _check_lengths(file, size)
        file.seek(0)
        content = _Unpickler(file, encoding="latin1").load()
        if not isinstance(content, dict):
            raise pickle.UnpicklingError(f"it holds a {_kind(content)}, not a dict of names")
        arrays = _tensors(_joined(content), depth=1)
    except _BAD_PICKLE as error:
        raise CheckpointError(
            f"{source} is damaged or not a Paddle weights file ({type(error).__name__}: {error}); nothing in it was run"
        ) from error
    if not arrays:
        raise CheckpointError(f"{source} holds no tensors; its keys are {sorted(map(str, content))[:10]}")
    return arrays


def _check_lengths(file: IO[bytes], size: int) -> None:
    """Refuse frames and memo indices that no file of this size can need; the unpickler would reserve memory for them.

    Every opcode is passed over once, which also finds truncation before anything is built.
    """
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        limit = size if opcode.name == "FRAME" else count
        if opcode.name in _LENGTH_OPCODES and argument > limit:
            raise pickle.UnpicklingError(f"{opcode.name} {argument} is beyond the end")


class _Array:
    """Stand-in for an ndarray under construction."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        """NumPy's five values: version, shape, dtype, is_fortran, bytes."""
        _, shape, dtype, is_fortran, raw = state
        self.fill(raw, dtype, shape, "F" if is_fortran else "C")

    def fill(self, raw: Any, dtype: Any, shape: Any, order: str) -> None:
        raw = raw.encode("latin1") if isinstance(raw, str) else raw
        if not isinstance(dtype, _Dtype) or not isinstance(raw, (bytes, bytearray)):
            raise pickle.UnpicklingError("an array without plain numbers")
        if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
            raise pickle.UnpicklingError(f"an array of shape {shape!r}")
        if math.prod(shape) * dtype.value.itemsize != len(raw):
            raise pickle.UnpicklingError(f"an array of shape {shape} and {dtype.value} in {len(raw)} bytes")
        view = np.frombuffer(raw, dtype.value).reshape(shape, order=order)
        self.value = np.array(view, dtype=dtype.value.newbyteorder("="), order="C")


class _Dtype:
    """Stand-in for a dtype: one number type and its byte order."""

    __slots__ = ("value",)

    def __init__(self, code: str) -> None:
        self.value = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        _, byte_order, *rest = state
        if byte_order not in ("<", ">", "=", "|") or any(part is not None for part in rest[:3]):
            raise pickle.UnpicklingError("a structured dtype")
        self.value = self.value.newbyteorder(byte_order)


class _Function:
    """The only kind of object a pickle is handed to call; it cannot be changed through the pickle."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("an attempt to change a function")


def _reconstruct(kind: Any, _shape: Any, _code: Any) -> _Array:
    if kind is not _NDARRAY:
        raise pickle.UnpicklingError("an array of a class other than numpy.ndarray")
    return _Array()


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: Any, axis_order: Any = None) -> _Array:
    if order not in ("C", "F") or axis_order is not None:
        raise pickle.UnpicklingError(f"an array in memory order {order!r}")
    array = _Array()
    array.fill(raw, dtype, shape, order)
    return array


def _dtype(code: Any, *_flags: Any) -> _Dtype:
    if not isinstance(code, str) or not _DTYPE_CODE.match(code):
        raise pickle.UnpicklingError(f"dtype {code!r}; weights are numbers")
    return _Dtype(code)


def _scalar(dtype: Any, raw: Any) -> Any:
    array = _Array()
    array.fill(raw, dtype, (), "C")
    return array.value[()]


def _encode(text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in the encoding {encoding!r}")
    return text.encode("latin1")


def _empty_bytes() -> bytes:
    return b""


def _container(kind: type) -> Callable[..., Any]:
    """``kind`` made from another container, which already is in memory."""

    def build(*items: Any) -> Any:
        if len(items) > 1 or not all(isinstance(item, (list, tuple, dict, set)) for item in items):
            raise pickle.UnpicklingError(f"a {kind.__name__} made from something else than a container")
        return kind(*items)

    return build


def _refuse_call(*_arguments: Any) -> Any:
    raise pickle.UnpicklingError("numpy.ndarray called directly")


_BUILTINS = ("builtins", "__builtin__")
_CONTAINERS = (tuple, list, dict, set)
_NDARRAY = _Function(_refuse_call)
_KNOWN: dict[str, _Function] = {
    "numpy.ndarray": _NDARRAY,
    "numpy.dtype": _Function(_dtype),
    "_codecs.encode": _Function(_encode),
    "collections.OrderedDict": _Function(_container(dict)),
    **{f"{module}.bytes": _Function(_empty_bytes) for module in _BUILTINS},
    **{f"{module}.{kind.__name__}": _Function(_container(kind)) for module in _BUILTINS for kind in _CONTAINERS},
    **{f"numpy.{core}.multiarray._reconstruct": _Function(_reconstruct) for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _Function(_scalar) for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _Function(_from_buffer) for core in ("core", "_core")},
}


class _Unpickler(pickle.Unpickler):
    """Hands out the stand-ins above and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[f"{module}.{name}"]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no weights file needs") from None


def _joined(content: dict[Any, Any]) -> dict[Any, Any]:
    """Put arrays that ``paddle.save`` cut into slices together again."""
    content = dict(content)
    for name, parts in content.get(_SLICES, {}).items():
        flat = [_array(content.pop(part)) for part in parts["slices"]]
        content[name] = np.concatenate(flat).reshape(parts["OriginShape"])
    return content


def _tensors(content: Mapping[Any, Any], depth: int) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for name, value in content.items():
        if name in _NOT_TENSORS:
            continue
        if isinstance(value, dict):
            if depth == _MAX_DEPTH:
                raise pickle.UnpicklingError(f"dicts nested deeper than {_MAX_DEPTH}")
            found.update({f"{name}/{inner}": array for inner, array in _tensors(value, depth + 1).items()})
        else:
            array = _array(value)
            if array is not None:
                found[str(name)] = array
        if len(found) > _MAX_TENSORS:  # nested dicts may name one another many times over
            raise pickle.UnpicklingError(f"more than {_MAX_TENSORS} tensors")
    return found


def _array(value: Any) -> np.ndarray | None:
    """The array in a value of the dict, or None where it is a plain number, string or list."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], _Array):
        value = value[1]
    if isinstance(value, _Array):
        value = value.value
        if value is None:
            raise pickle.UnpicklingError("an array that was never filled")
    if not isinstance(value, np.ndarray):
        return None
    if value.dtype == np.uint16:  # bfloat16: the upper half of a float32
        return np.asarray(np.left_shift(value.astype(np.uint32), np.uint32(16))).view(np.float32)
    return value


def _kind(content: Any) -> str:
    return "single array" if isinstance(content, (_Array, tuple)) else type(content).__name__
