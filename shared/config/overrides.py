"""Changing a config from the command line: ``--opts model.num_classes=5 train_dataset.transforms.0.prob=0.2``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.config.yaml_file import EXCLUSIVE, ConfigTree, parse_yaml
from shared.errors import ConfigError

COMMAND_LINE = "command line"


def parse_opts(opts: Sequence[str]) -> dict[str, Any]:
    """``KEY=VALUE`` texts to dotted keys and values; a value is read as YAML (``[1,0.4]``, ``true``, ``null``).

    Raises:
        ConfigError: an entry has no ``=``, no key, or a value that is not YAML; all of them in one error.
    """
    parsed: dict[str, Any] = {}
    problems = []
    for text in opts:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not key or any(not part for part in key.split(".")):
            problems.append(f"{text}: an override is written dotted.key=value, e.g. model.num_classes=5")
            continue
        try:
            parsed[key] = parse_yaml(value, COMMAND_LINE)
        except ConfigError as error:
            problems.append(f"{key}: {value!r} cannot be read as YAML ({error.problems[0]})")
    if problems:
        raise ConfigError(problems, COMMAND_LINE)
    return parsed


def pairs_to_overrides(pairs: Sequence[str]) -> dict[str, Any]:
    """``["model.num_classes", "5"]`` to ``{"model.num_classes": 5}``: the ``KEY VALUE`` spelling of the static mode.

    Raises:
        ConfigError: the number of words is odd, or a value is not YAML.
    """
    if len(pairs) % 2:
        raise ConfigError(f"{pairs[-1]}: a KEY VALUE override without its value; got {len(pairs)} words", COMMAND_LINE)
    return parse_opts([f"{key}={value}" for key, value in zip(pairs[::2], pairs[1::2])])


def apply_overrides(tree: ConfigTree, overrides: Mapping[str, Any], origin: str = COMMAND_LINE) -> list[str]:
    """Set dotted keys in ``tree``; returns the problems of keys that lead nowhere.

    Numbers index into lists. Keys that do not exist yet are created and judged with the rest of the config.
    ``learning_rate=0.02`` reaches the starting rate in whichever spelling the file uses.
    """
    for pair in EXCLUSIVE:
        for mine, other in (pair, pair[::-1]):
            if mine == "learning_rate":
                continue
            if any(_under(k, mine) for k in overrides) and not any(_under(k, other) for k in overrides):
                _remove_other(tree, mine, other)
    problems = []
    for key, value in overrides.items():
        target = _learning_rate_key(tree, key, value)
        problem = _set(tree.values, target, value)
        if problem:
            problems.append(problem)
            continue
        for known in [k for k in tree.origins if _under(k, target)]:
            del tree.origins[known]
        tree.origins[target] = origin
    return problems


def _under(key: str, prefix: str) -> bool:
    return key == prefix or key.startswith(f"{prefix}.")


def _remove_other(tree: ConfigTree, mine: str, other: str) -> None:
    """``--iters`` replaces the file's ``epochs``; an existing key of the same spelling is only changed."""
    if other in tree.values and mine not in tree.values:
        del tree.values[other]
        for known in [k for k in tree.origins if _under(k, other)]:
            del tree.origins[known]


def _learning_rate_key(tree: ConfigTree, key: str, value: Any) -> str:
    if key != "learning_rate" or isinstance(value, Mapping):
        return key
    if "lr_scheduler" in tree.values:
        return "lr_scheduler.learning_rate"
    return "learning_rate.value" if isinstance(tree.values.get(key), dict) else key


def _set(values: Any, key: str, value: Any) -> str | None:
    parts = key.split(".")
    node = values
    for i, part in enumerate(parts):
        here = ".".join(parts[:i])
        last = i == len(parts) - 1
        if isinstance(node, list):
            problem = _index_problem(node, part, here, key)
            if problem:
                return problem
            index: Any = int(part)
        elif isinstance(node, dict):
            index = part
            if not last and node.get(part) is None:
                node[part] = {}
        else:
            return f"{key}: {here} is {node!r} and has no parts; set {here} itself"
        if last:
            node[index] = value
        else:
            node = node[index]
    return None


def _index_problem(items: list[Any], part: str, here: str, key: str) -> str | None:
    if not part.isdigit():
        return f"{key}: {here} is a list; expected a number from 0 to {len(items) - 1} after it, got {part!r}"
    if int(part) >= len(items):
        return f"{key}: {here} has {len(items)} entries; expected a number from 0 to {len(items) - 1}, got {part}"
    return None
