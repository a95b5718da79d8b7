"""Checking ``type:`` blocks against the registries, and turning them into :class:`Component`.

Every problem is returned as a sentence that begins with its dotted key, so that a caller can report all of them at
once:

>>> from shared.registry import Registry
>>> SHAPES = Registry("shape")
>>> @SHAPES.register()
... class Square:
...     def __init__(self, side: int) -> None: ...
>>> check_component(SHAPES, {"type": "Square", "sid": 3}, "shape")
["shape.sid: Square has no argument 'sid'; did you mean 'side'?", 'shape.side: required by Square and missing']
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import Any

from shared.config.annotations import value_problem
from shared.config.run_config import Component
from shared.registry import BACKBONES, LOSSES, Registry, closest

#: Arguments that hold components themselves, and where these are looked up.
NESTED: dict[str, Registry] = {"backbone": BACKBONES, "losses": LOSSES}


def check_component(
    registry: Registry, spec: Any, key: str, *, provided: Collection[str] = (), construct: bool = False
) -> list[str]:
    """The problems of one ``type:`` block, each a sentence beginning with its dotted key.

    Args:
        registry: where ``type`` is looked up.
        spec: the block as YAML gave it: a mapping with ``type`` and constructor arguments.
        key: the block's dotted key, e.g. ``"model"`` or ``"train_dataset.transforms.0"``.
        provided: arguments that the builder fills in, so that they may be missing (``num_classes``, ``backbone``).
        construct: also call the constructor when nothing else is wrong and report its ValueError (transforms).
    """
    if not isinstance(spec, Mapping):
        return [f"{key}: expected a mapping with 'type' and its arguments, got {spec!r}"]
    name = spec.get("type")
    if name is None:
        return [f"{key}.type: missing; name the {registry.kind}: one of {', '.join(sorted(registry))}"]
    if not isinstance(name, str) or name not in registry:
        return [f"{key}.type: {registry.unknown(name)}"]
    arguments = {k: v for k, v in spec.items() if k != "type"}
    parameters = registry.parameters(name)
    problems = _name_problems(name, parameters, arguments, key, provided)
    for argument, value in arguments.items():
        parameter = parameters.get(argument)
        problems += _value_problems(argument, value, parameter, f"{key}.{argument}")
    if construct and not problems:
        problems += _construct_problems(registry, name, arguments, key)
    return problems


def as_component(spec: Mapping[str, Any]) -> Component:
    """A checked block as a Component; nested blocks and lists of blocks become Components too."""
    return Component.from_dict(spec)


def _name_problems(
    name: str,
    parameters: Mapping[str, inspect.Parameter],
    arguments: Mapping[str, Any],
    key: str,
    provided: Collection[str],
) -> list[str]:
    """Arguments the constructor does not know, and required ones that are missing."""
    kinds = {p.kind for p in parameters.values()}
    named = [n for n, p in parameters.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    problems = []
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        for argument in arguments:
            if argument not in named:
                near = closest(str(argument), named)
                hint = f"did you mean {near!r}?" if near else f"known: {', '.join(named) or 'none'}"
                problems.append(f"{key}.{argument}: {name} has no argument {argument!r}; {hint}")
    for argument in named:
        required = parameters[argument].default is inspect.Parameter.empty
        if required and argument not in arguments and argument not in provided:
            problems.append(f"{key}.{argument}: required by {name} and missing")
    return problems


def _value_problems(argument: str, value: Any, parameter: inspect.Parameter | None, key: str) -> list[str]:
    """Nested components are checked in their own registry, everything else by the parameter's annotation."""
    registry = NESTED.get(argument)
    if registry is not None and isinstance(value, (list, tuple)):
        return [p for i, item in enumerate(value) for p in check_component(registry, item, f"{key}.{i}")]
    if registry is not None and value is not None:
        return check_component(registry, value, key)
    if parameter is None:
        return []
    problem = value_problem(parameter.annotation, value, key)
    return [problem] if problem else []


def _construct_problems(registry: Registry, name: str, arguments: Mapping[str, Any], key: str) -> list[str]:
    try:
        registry[name](**arguments)
    except ValueError as error:
        return [f"{key}: {error}"]
    return []
