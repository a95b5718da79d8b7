"""Checks of constructor arguments. Each returns the value in the form it is stored in, or raises ValueError."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

from shared.registry import closest


def is_integer(value: Any) -> bool:
    """A whole number that is not a bool (YAML's ``yes`` is one)."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """A finite real number that is not a bool."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def whole_number(name: str, value: Any, low: int, high: int | None = None) -> int:
    """``value`` as an int in ``[low, high]``."""
    if not is_integer(value) or value < low or (high is not None and value > high):
        bounds = f">= {low}" if high is None else f"in [{low}, {high}]"
        raise ValueError(f"{name} must be a whole number {bounds}; got {value!r}")
    return int(value)


def real_number(name: str, value: Any, low: float, high: float | None = None, *, above: bool = False) -> float:
    """``value`` as a float in ``[low, high]``; with ``above`` in ``(low, high]``."""
    too_low = is_number(value) and (value <= low if above else value < low)
    if not is_number(value) or too_low or (high is not None and value > high):
        opening = "(" if above else "["
        bounds = f"in {opening}{low:g}, {high:g}]" if high is not None else f"{'>' if above else '>='} {low:g}"
        raise ValueError(f"{name} must be a number {bounds}; got {value!r}")
    return float(value)


def probability(name: str, value: Any) -> float:
    """``value`` as a float in ``[0, 1]``."""
    return real_number(name, value, 0, 1)


def ordered_pair(low_name: str, low: Any, high_name: str, high: Any) -> None:
    """Both are checked numbers already; the first may not exceed the second."""
    if low > high:
        raise ValueError(f"{low_name} must not exceed {high_name}; got {low_name} {low!r} and {high_name} {high!r}")


def size_hw(name: str, value: Any) -> tuple[int, int]:
    """A config's (width, height) as (height, width)."""
    pair = isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2
    if not pair or not all(is_integer(v) and v >= 1 for v in value):
        raise ValueError(f"{name} must be [width, height], two whole numbers >= 1; got {value!r}")
    width, height = value
    return int(height), int(width)


def fill_value(name: str, value: Any) -> tuple[float, float, float]:
    """A grey level, or one level for each of the three channels, as three floats in ``[0, 255]``."""
    levels = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    if len(levels) not in (1, 3) or not all(is_number(v) and 0 <= v <= 255 for v in levels):
        raise ValueError(f"{name} must be one grey level or three, in [0, 255]; got {value!r}")
    first, second, third = levels * 3 if len(levels) == 1 else levels
    return float(first), float(second), float(third)


def label_value(name: str, value: Any) -> int:
    """A label id that a uint8 label map can hold."""
    return whole_number(name, value, 0, 255)


def flag(name: str, value: Any) -> bool:
    """True or False; a number or a string is refused."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False; got {value!r}")
    return value


def choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """One of ``choices``; the message names the nearest one."""
    if value not in choices:
        near = closest(value, list(choices)) if isinstance(value, str) else None
        hint = f"; did you mean {near!r}?" if near else ""
        raise ValueError(f"{name} must be one of {', '.join(choices)}; got {value!r}{hint}")
    return str(value)
