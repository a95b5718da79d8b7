"""Watching every operator a network calls: which one, in which layer, with inputs of which types.

Paddle's Python reaches its operators through the functions of ``paddle._C_ops`` and through the arithmetic of tensors.
For the time of a ``with`` block these are replaced by functions that hand each call to a recorder.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

import paddle
from paddle import _C_ops, nn

LOW_TYPES = (paddle.float16, paddle.bfloat16)
FLOATS = (*LOW_TYPES, paddle.float32, paddle.float64)

#: Arithmetic that tensors and Values do without ``_C_ops``.
_ARITHMETIC = (
    *("__add__", "__radd__", "__iadd__", "__sub__", "__rsub__", "__isub__", "__mul__", "__rmul__", "__imul__"),
    *("__div__", "__truediv__", "__rdiv__", "__rtruediv__", "__mod__", "__rmod__", "__floordiv__", "__rfloordiv__"),
    *("__matmul__", "__rmatmul__", "__pow__", "__rpow__", "__neg__", "__gt__", "__ge__", "__lt__", "__le__"),
    *("__eq__", "__ne__"),
)

#: What only moves a tensor between types, reads its shape or makes a constant.
_NO_COMPUTATION = ("cast", "shape", "shape64", "full_like", "memcpy", "arange", "assign_out_")


@dataclass(frozen=True)
class OperatorCall:
    """One operator of a network.

    Attributes:
        layer: structured name of the layer that called it; empty for the network itself.
        operator: Paddle's name, without the underscore of an in-place one.
        inputs: types of its floating-point inputs as they come, before autocast.
        runs_in: the type autocast chose.
    """

    layer: str
    operator: str
    inputs: tuple[str, ...]
    runs_in: str


class Recorder:
    """Collects the calls of one mode; a subclass knows how an operator's type is found out there."""

    methods: tuple[str, ...] = ()  # of tensors, besides arithmetic, that reach operators without ``_C_ops``

    def __init__(self, dtype: str) -> None:
        self.low = getattr(paddle, dtype)
        self.calls: list[OperatorCall] = []
        self.layers: list[str] = []
        self._inside = False

    def __call__(self, name: str, operator: Callable[..., Any], args: tuple, kwargs: dict) -> Any:
        """Run one operator and note what it did; operators it calls itself are part of it."""
        inputs = [value for value in tensors((args, kwargs)) if value.dtype in FLOATS]
        if self._inside:
            return operator(*args, **kwargs)
        self._inside = True
        try:
            if not inputs or name in _NO_COMPUTATION:
                return self.passed(operator, args, kwargs)
            return self.record(name, operator, args, kwargs, inputs)
        finally:
            self._inside = False

    def passed(self, operator: Callable[..., Any], args: tuple, kwargs: dict) -> Any:
        """Run an operator that autocast has nothing to say about."""
        return operator(*args, **kwargs)

    def record(self, name: str, operator: Callable[..., Any], args: tuple, kwargs: dict, inputs: list) -> Any:
        """Run one operator with floating-point inputs and :meth:`note` it."""
        raise NotImplementedError

    def note(self, name: str, inputs: Sequence[Any], runs_in: Any) -> None:
        """Add a call to the table."""
        kinds = tuple(type_name(value.dtype) for value in inputs)
        layer = self.layers[-1] if self.layers else ""
        self.calls.append(OperatorCall(layer, name.rstrip("_"), kinds, type_name(runs_in)))

    def in_float32(self, operator: Callable[..., Any], args: tuple, kwargs: dict, low: bool) -> Any:
        """Run what a CPU has no low-type kernel for in float32, and give the type that a GPU would."""
        with paddle.amp.auto_cast(enable=False):
            args, kwargs = map_tensors((args, kwargs), lambda value: _cast(value, paddle.float32, LOW_TYPES))
            result = operator(*args, **kwargs)
        return self.lowered(result) if low else result

    def lowered(self, result: Any) -> Any:
        """Results in the low type."""
        return map_tensors(result, lambda value: _cast(value, self.low, (paddle.float32,)))


def type_name(dtype: Any) -> str:
    """``float32`` and the like, of an eager or a Program's type."""
    return str(dtype).rsplit(".", 1)[-1].lower()


def tensors(value: Any) -> Iterator[Any]:
    """Every tensor in nested containers."""
    if isinstance(value, (paddle.Tensor, paddle.pir.Value)):
        if not isinstance(value, paddle.pir.Value) or value.is_dense_tensor_type():
            yield value
    elif isinstance(value, dict):
        yield from tensors(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from tensors(inner)


def map_tensors(value: Any, change: Callable[[Any], Any]) -> Any:
    """``value`` with ``change`` applied to each tensor in it."""
    if isinstance(value, (paddle.Tensor, paddle.pir.Value)):
        return next((change(one) for one in tensors(value)), value)
    if isinstance(value, dict):
        return {key: map_tensors(inner, change) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map_tensors(inner, change) for inner in value)
    return value


def _cast(value: Any, dtype: Any, which: tuple) -> Any:
    return _C_ops.cast(value, dtype) if value.dtype in which else value


@contextmanager
def watched(recorder: Recorder, network: nn.Layer) -> Iterator[None]:
    """Every operator the body calls goes through ``recorder``, which knows the layer of ``network`` it stands in."""
    with ExitStack() as undo:
        for name, layer in network.named_sublayers():
            _follow(recorder, name, layer, undo)
        originals = {id(value): (name, value) for name, value in vars(_C_ops).items() if callable(value)}
        wrapped = {key: _through(recorder, name, value) for key, (name, value) in originals.items()}
        for module in [module for name, module in sys.modules.items() if name.partition(".")[0] == "paddle"]:
            for name, value in list(getattr(module, "__dict__", {}).items()):
                if id(value) in wrapped:
                    _replace(module, name, wrapped[id(value)], undo)
        for owner in (paddle.Tensor, paddle.pir.Value):
            for name in (*_ARITHMETIC, *recorder.methods):
                if hasattr(owner, name):
                    _replace(owner, name, _through(recorder, name, getattr(owner, name)), undo)
        yield


def _follow(recorder: Recorder, name: str, layer: nn.Layer, undo: ExitStack) -> None:
    def enter(*_: Any) -> None:
        recorder.layers.append(name)

    def leave(*_: Any) -> None:
        recorder.layers.pop()

    undo.callback(layer.register_forward_pre_hook(enter).remove)
    undo.callback(layer.register_forward_post_hook(leave).remove)


def _through(recorder: Recorder, name: str, operator: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(operator)
    def call(*args: Any, **kwargs: Any) -> Any:
        return recorder(name, operator, args, kwargs)

    return call


def _replace(owner: Any, name: str, value: Any, undo: ExitStack) -> None:
    before = getattr(owner, name)
    setattr(owner, name, value)
    undo.callback(setattr, owner, name, before)
