"""Which type each operator of an eager network runs in under mixed precision, from the decisions of Paddle's tracer.

On a CPU the tracer decides as on a GPU and then, because the tensors are on a CPU, runs the operator in float32. It
writes both into its debug log ("Change conv2d's AMP type from float16 to FP32"), which is read here after each call;
the process must have been started with ``GLOG_minloglevel=0`` for there to be one. What a GPU would have given in the
low type is cast to it, so that the next operator is decided on the right types. Not seen here: kernels that a GPU
build lacks for a type, which make the tracer stay in float32.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any
from unittest import mock

import paddle
from paddle import nn
from paddle.base import core, framework

from dygraph.engine.operator_calls import LOW_TYPES, OperatorCall, Recorder, watched
from dygraph.engine.precision import Precision, forward

_LOG_OF_AUTOCAST = "amp_utils"
_CHANGED = re.compile(r"Change (\w+)'s AMP type from (\w+) to FP32")
_DECIDED = re.compile(r"GetAmpDestDtype: op\((\w+)\) amp_dtype\((\w+)\)")

#: Operators as the tracer's log calls them, where a Program has another name for them.
_NAMES = {
    "elementwise_add": "add",
    "elementwise_sub": "subtract",
    "elementwise_mul": "multiply",
    "elementwise_div": "divide",
    "elementwise_mod": "remainder",
    "elementwise_floordiv": "floor_divide",
    "matmul_v2": "matmul",
}


def eager_operator_types(network: nn.Layer, image: paddle.Tensor, precision: Precision) -> list[OperatorCall]:
    """Every operator of one training forward pass, in the order of the calls.

    Args:
        image: ``[N, 3, H, W]`` float32; the statistics of batch norm move as in training.

    Raises:
        RuntimeError: the tracer's log is switched off, or an operator was called on a way that is not watched.
    """
    network.train()
    with _autocast_as_on_a_device(), _log_of_decisions() as log, paddle.no_grad():
        recorder = _EagerRecorder(precision.dtype, log)
        with watched(recorder, network):
            forward(network, image, precision)
        recorder.check()
    return recorder.calls


class _EagerRecorder(Recorder):
    methods = ("__getitem__", "__setitem__")

    def __init__(self, dtype: str, log: IO[str]) -> None:
        super().__init__(dtype)
        self._log = log
        self._passed_by: list[str] = []
        self._heard = False

    def passed(self, operator: Callable[..., Any], args: tuple, kwargs: dict) -> Any:
        result = super().passed(operator, args, kwargs)
        self._decisions()
        return result

    def record(self, name: str, operator: Callable[..., Any], args: tuple, kwargs: dict, inputs: list) -> Any:
        self._passed_by += [other for other, _ in self._decisions()]
        try:
            result = operator(*args, **kwargs)
        except Exception:  # Paddle raises several kinds where a CPU has no kernel for a type
            if not any(value.dtype in LOW_TYPES for value in inputs):
                raise
            result = self.in_float32(operator, args, kwargs, low=False)
        decisions = self._decisions()
        if name.startswith("__"):
            for decided, runs_in in decisions:
                self.note(_NAMES.get(decided, decided), inputs, runs_in)
        else:  # an in-place operator is not decided on: it runs in the type of its tensor
            decisions = decisions[-1:] or [(name, inputs[0].dtype)]
            self.note(name, inputs, decisions[0][1])
        return self.lowered(result) if decisions and decisions[-1][1] in LOW_TYPES else result

    def _decisions(self) -> list[tuple[str, Any]]:
        """Operators and types the tracer has decided on since the last look."""
        found, changed = [], {}
        for line in self._log.read().splitlines():
            if match := _CHANGED.search(line):
                changed[match[1]] = match[2]
            elif match := _DECIDED.search(line):
                found.append((match[1], getattr(paddle, changed.pop(match[1], match[2]))))
        self._heard = self._heard or bool(found)
        return found

    def check(self) -> None:
        """Whether there was a log at all, and whether every operator in it was watched."""
        missed = [*self._passed_by, *(name for name, _ in self._decisions())]
        if not self._heard:
            raise RuntimeError("Paddle's log is silent: start Python with GLOG_minloglevel=0 in the environment")
        if missed:
            raise RuntimeError(f"operators that were not watched: {', '.join(sorted(set(missed)))}")


class _TracerOnADevice:
    """The tracer, but its place is a device's; so ``auto_cast`` sets it up as it would there."""

    def __init__(self, tracer: Any) -> None:
        object.__setattr__(self, "_tracer", tracer)
        device = mock.Mock(is_gpu_place=lambda: False, is_xpu_place=lambda: False, is_custom_place=lambda: True)
        object.__setattr__(self, "_expected_place", device)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tracer, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._tracer, name, value)


@contextmanager
def _autocast_as_on_a_device() -> Iterator[None]:
    module = sys.modules["paddle.amp.auto_cast"]
    tracer = _TracerOnADevice(framework._dygraph_tracer())
    with (
        mock.patch.object(module, "_dygraph_tracer", return_value=tracer),
        mock.patch.object(module, "_is_custom_device_bfloat16_supported", return_value=True),
    ):
        yield


@contextmanager
def _log_of_decisions() -> Iterator[IO[str]]:
    """The tracer's debug log, in a file instead of stderr."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.NamedTemporaryFile("r", encoding="utf-8", errors="replace") as log:
        writer = os.open(log.name, os.O_WRONLY | os.O_APPEND)
        os.dup2(writer, 2)
        core.set_vlog_level({_LOG_OF_AUTOCAST: 6})
        try:
            yield log
        finally:
            core.set_vlog_level({_LOG_OF_AUTOCAST: 0})
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(writer)
            os.close(stderr)
