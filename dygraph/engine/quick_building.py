"""Programs built and networks exported in half the time: what Paddle notes beside operators is cheap, or left away."""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from types import FrameType

import paddle
from paddle.nn.layer import layers

from dygraph.engine.quick_backward import quick_backward

MOST_FRAMES = 4
_PADDLE = str(Path(paddle.__file__).parent)
_extract_stack = traceback.extract_stack


@contextmanager
def quick_building() -> Iterator[None]:
    """For the body, in which a Program is built:

    - Paddle's error messages quote the innermost lines that are not Paddle's own, instead of the whole stack with
      every source file looked for on the disk;
    - the names for automatic parallelism are not noted, whose time grows with the square of the number of operators;
    - no garbage is collected: everything that is made is kept;
    - gradients are appended as :mod:`dygraph.engine.quick_backward` says.
    """
    collecting, name_struct = gc.isenabled(), getattr(layers, "name_struct", None)
    gc.disable()
    traceback.extract_stack = _own_lines
    if name_struct is not None:
        layers.name_struct = nullcontext
    try:
        with quick_backward():
            yield
    finally:
        if name_struct is not None:
            layers.name_struct = name_struct
        traceback.extract_stack = _extract_stack
        if collecting:
            gc.enable()


def _own_lines(f: FrameType | None = None, limit: int | None = None) -> traceback.StackSummary:
    """``traceback.extract_stack`` as Paddle calls it, without arguments; any other call gets what it asks for."""
    frame: FrameType | None = f or sys._getframe(1)
    if f is not None or limit is not None:
        return _extract_stack(frame, limit)
    lines = traceback.StackSummary()
    while frame is not None and len(lines) < MOST_FRAMES:
        code = frame.f_code
        if not code.co_filename.startswith(_PADDLE):
            lines.append(_line(code.co_filename, frame.f_lineno, code.co_name))
        frame = frame.f_back
    lines.reverse()
    return lines


@cache
def _line(file: str, number: int, function: str) -> traceback.FrameSummary:
    """One object for every operator of a line, which reads the line once."""
    return traceback.FrameSummary(file, number, function, lookup_line=False)
