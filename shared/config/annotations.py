"""Judging a config value by the annotation of the constructor parameter it goes to.

Annotations are read as syntax, never evaluated: a ``Sequence[int] | None`` is understood on every supported Python,
whatever the module that wrote it has imported. Names that are not plain YAML types accept anything.

>>> value_problem("Sequence[int]", [0, 3], "model.backbone_indices") is None
True
>>> value_problem("int", "19", "model.num_classes")
"model.num_classes: expected an integer, got the text '19'; write 19 without quotes"
"""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Mapping
from typing import Any

_SCALARS = {
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "None": "null",
}
_LISTS = {"Sequence", "list", "List", "tuple", "Tuple", "Iterable", "Collection"}
_MAPPINGS = {"Mapping", "dict", "Dict", "MutableMapping"}


def value_problem(annotation: Any, value: Any, key: str) -> str | None:
    """A sentence beginning with ``key`` where ``value`` does not fit ``annotation``, else None.

    Args:
        annotation: as ``inspect.Parameter.annotation`` holds it: text, a class, a typing form, or ``empty``.
        value: what YAML gave. An int is fine for a float and a list for a tuple; a bool is not an int.
        key: the dotted key, for the message.
    """
    node = _parse(annotation)
    if node is None or _accepts(node, value):
        return None
    return f"{key}: expected {_describe(node)}, got {_show(value)}{_hint(node, value)}"


def _parse(annotation: Any) -> ast.expr | None:
    if annotation is inspect.Parameter.empty or annotation is None:
        return None
    if isinstance(annotation, str):
        text = annotation
    elif isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        text = annotation.__name__
    else:
        text = str(annotation).replace("NoneType", "None")
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return None


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return "None" if node.value is None else ""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _options(node: ast.expr) -> list[ast.expr]:
    """The alternatives of a union, flattened; a plain type is its own only option."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _options(node.left) + _options(node.right)
    if isinstance(node, ast.Subscript) and _name(node.value) == "Optional":
        return [*_options(node.slice), ast.Constant(value=None)]
    if isinstance(node, ast.Subscript) and _name(node.value) == "Union":
        return [option for part in _arguments(node) for option in _options(part)]
    return [node]


def _arguments(node: ast.Subscript) -> list[ast.expr]:
    return list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]


def _accepts(node: ast.expr, value: Any) -> bool:
    options = _options(node)
    if len(options) > 1:
        return any(_accepts(option, value) for option in options)
    (node,) = options
    if isinstance(node, ast.Subscript):
        return _accepts_generic(_name(node.value), _arguments(node), value)
    return _accepts_plain(_name(node), value)


def _accepts_plain(name: str, value: Any) -> bool:
    if name == "None":
        return value is None
    if name == "bool":
        return isinstance(value, bool)
    if name == "int":
        return isinstance(value, int) and not isinstance(value, bool)
    if name == "float":
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if name == "str":
        return isinstance(value, str)
    if name in _LISTS:
        return isinstance(value, (list, tuple))
    if name in _MAPPINGS:
        return isinstance(value, Mapping)
    return True


def _accepts_generic(name: str, arguments: list[ast.expr], value: Any) -> bool:
    if name == "Literal":
        return value in [a.value for a in arguments if isinstance(a, ast.Constant)]
    if name in _MAPPINGS:
        return isinstance(value, Mapping)
    if name not in _LISTS:
        return True
    if not isinstance(value, (list, tuple)):
        return False
    if name in ("tuple", "Tuple") and not _is_open(arguments):
        return len(value) == len(arguments) and all(_accepts(a, v) for a, v in zip(arguments, value))
    return all(_accepts(arguments[0], v) for v in value)


def _is_open(arguments: list[ast.expr]) -> bool:
    """``tuple[int, ...]``: any length."""
    return len(arguments) == 2 and isinstance(arguments[1], ast.Constant) and arguments[1].value is Ellipsis


def _describe(node: ast.expr) -> str:
    options = _options(node)
    if len(options) > 1:
        return " or ".join(dict.fromkeys(_describe(option) for option in options))
    (node,) = options
    if not isinstance(node, ast.Subscript):
        name = _name(node)
        return _SCALARS.get(name) or ("a list" if name in _LISTS else "a mapping" if name in _MAPPINGS else name)
    name, arguments = _name(node.value), _arguments(node)
    if name == "Literal":
        return " or ".join(repr(a.value) for a in arguments if isinstance(a, ast.Constant))
    if name in _MAPPINGS:
        return "a mapping"
    if name in ("tuple", "Tuple") and not _is_open(arguments):
        return f"a list of {len(arguments)} values ({', '.join(_describe(a) for a in arguments)})"
    return f"a list (each {_describe(arguments[0])})"


def _show(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text {value!r}"
    if isinstance(value, Mapping):
        return f"a mapping with {', '.join(map(str, value)) or 'no keys'}"
    return repr(value)


def _hint(node: ast.expr, value: Any) -> str:
    """What to do about numbers that arrived as text."""
    if not isinstance(value, str):
        return ""
    try:
        number = float(value)
    except ValueError:
        return ""
    as_int = number.is_integer() and "." not in value and "e" not in value.lower()
    return f"; write {value.strip()} without quotes" if _accepts(node, int(number) if as_int else number) else ""
