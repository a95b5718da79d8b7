"""The kinds of value an option of the static configuration may hold, and how text becomes one.

Values are decoded as yacs decodes them (a Python literal where the text is one, else the text itself), so that
``(1024, 512)`` is a tuple and ``1e-4`` a number, in a file as on the command line.

>>> size().parse(decode("(1024, 512)"))
(1024, 512)
>>> number().parse(decode("1e-4"))
0.0001
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from shared.config.yaml_file import MAX_INTEGER

_SHOWN = 200  # characters of a value in a message


@dataclass(frozen=True)
class Kind:
    """One kind of value.

    Attributes:
        expected: the words that follow "expected" in a message.
        parse: the decoded value -> the value to keep; ValueError where it does not fit.
        is_text: a literal such as ``007`` stays the text that was written.
    """

    expected: str
    parse: Callable[[Any], Any]
    is_text: bool = False


def decode(value: Any) -> Any:
    """The Python literal that a text spells, or the value as it is."""
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return value


def show(value: Any) -> str:
    """A value and its type, for messages: ``'two' (str)``."""
    if value is None:
        return "None"
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python writes
        text = "a value of very many digits"
    return f"{text[:_SHOWN]}{'...' if len(text) > _SHOWN else ''} ({type(value).__name__})"


def _refuse_unless(condition: bool) -> None:
    if not condition:
        raise ValueError


def integer(least: int | None = None, most: int | None = None) -> Kind:
    """An int (a bool is none); bounds are inclusive."""
    bounds = [f"{word} {bound}" for word, bound in (("at least", least), ("at most", most)) if bound is not None]

    def parse(value: Any) -> int:
        _refuse_unless(isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_INTEGER)
        _refuse_unless(least is None or value >= least)
        _refuse_unless(most is None or value <= most)
        return value

    return Kind("int" + (f", {' and '.join(bounds)}" if bounds else ""), parse)


def number(
    least: float | None = None, most: float | None = None, *, above: float | None = None, below: float | None = None
) -> Kind:
    """A finite int or float, kept as float; ``least`` and ``most`` are inclusive, ``above`` and ``below`` are not."""
    named = (("at least", least), ("above", above), ("at most", most), ("below", below))
    bounds = [f"{word} {bound:g}" for word, bound in named if bound is not None]

    def parse(value: Any) -> float:
        _refuse_unless(isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value))
        _refuse_unless(least is None or value >= least)
        _refuse_unless(most is None or value <= most)
        _refuse_unless(above is None or value > above)
        _refuse_unless(below is None or value < below)
        return float(value)

    return Kind("a number" + (f", {' and '.join(bounds)}" if bounds else ""), parse)


def boolean() -> Kind:
    """True or False, and no 0 or 1."""

    def parse(value: Any) -> bool:
        _refuse_unless(isinstance(value, bool))
        return value

    return Kind("bool (True or False)", parse)


def text(empty: bool = True) -> Kind:
    """Any text; the empty one only where ``empty``."""

    def parse(value: Any) -> str:
        _refuse_unless(isinstance(value, str) and (empty or value != ""))
        return value

    return Kind("str" if empty else "str that is not empty", parse, is_text=True)


def choice(*options: Any) -> Kind:
    """One of a few values."""

    def parse(value: Any) -> Any:
        _refuse_unless(any(value == o and type(value) is type(o) for o in options))
        return value

    return Kind("one of " + ", ".join(str(o) for o in options), parse)


def switched_choice(*options: str) -> Kind:
    """One of a few words with ``off`` among them, which YAML reads as False."""
    kind = choice(*options)
    return Kind(kind.expected, lambda value: "off" if value is False else kind.parse(value))


def optional(kind: Kind) -> Kind:
    """A value of ``kind``, or None."""
    return Kind(
        f"{kind.expected}, or None", lambda value: None if value is None else kind.parse(value), is_text=kind.is_text
    )


def either(first: Kind, second: Kind) -> Kind:
    """A value of either kind; the first that fits decides."""

    def parse(value: Any) -> Any:
        try:
            return first.parse(value)
        except ValueError:
            return second.parse(value)

    return Kind(f"{first.expected}, or {second.expected}", parse)


def sequence(item: Kind, length: int | None = None) -> Kind:
    """A list or tuple of items, kept as list; never empty."""
    count = "one or more values" if length is None else f"{length} value{'s' * (length != 1)}"

    def parse(value: Any) -> list[Any]:
        _refuse_unless(isinstance(value, (list, tuple)) and len(value) > 0)
        _refuse_unless(length is None or len(value) == length)
        return [item.parse(v) for v in value]

    return Kind(f"a list of {count} ({item.expected})", parse)


def size() -> Kind:
    """``(width, height)`` in pixels, or ``()`` for none."""

    def parse(value: Any) -> tuple[int, ...]:
        _refuse_unless(isinstance(value, (list, tuple)) and len(value) in (0, 2))
        return tuple(integer(1).parse(v) for v in value)

    return Kind("(width, height) in pixels", parse)


def to_hw(size_wh: Sequence[int]) -> tuple[int, int] | None:
    """The one place of the static front-end where (width, height) becomes (height, width); ``()`` becomes None."""
    return (size_wh[1], size_wh[0]) if len(size_wh) else None
