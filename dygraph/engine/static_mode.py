"""Static-graph mode for a while, and Programs to build in; nothing is computed here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import paddle
from paddle import static

from dygraph.engine.quick_building import quick_building


@contextmanager
def static_mode() -> Iterator[None]:
    """Static-graph mode for the body, and whatever was before it afterwards."""
    was_eager = paddle.in_dynamic_mode()
    paddle.enable_static()
    try:
        yield
    finally:
        if was_eager:
            paddle.disable_static()


@contextmanager
def building() -> Iterator[tuple[static.Program, static.Program]]:
    """A new main and startup Program to build in, under a fresh name guard."""
    main, startup = static.Program(), static.Program()
    with static_mode(), static.program_guard(main, startup), paddle.utils.unique_name.guard(), quick_building():
        yield main, startup
