"""Reading config files: safe YAML, inheritance through ``_base_``, and where each value came from.

``_base_`` names one file or a list of files, relative to the file it stands in. Mappings merge key by key, lists and
scalars are replaced; ``_inherited_: False`` in a mapping drops what it would have merged with. Of several bases the
one named first wins, as in PaddleSeg.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from shared.errors import ConfigError

MAX_CHARACTERS, MAX_VALUES, MAX_DEPTH = 2**20, 100_000, 64
MAX_INTEGER = 2**63 - 1
BASE_KEY = "_base_"
INHERITED_KEY = "_inherited_"

#: Top-level keys that say the same thing in two ways: the nearer file's spelling replaces the other one.
EXCLUSIVE: tuple[tuple[str, str], ...] = (("iters", "epochs"), ("learning_rate", "lr_scheduler"))


@dataclass
class ConfigTree:
    """Plain nested values, and for each dotted key (lists count as one value) the file it was written in."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)


def origin_of(origins: Mapping[str, str], key: str, default: str = "default") -> str:
    """The origin of the longest recorded prefix of ``key``: ``transforms.0.type`` came with ``transforms``."""
    while key:
        if key in origins:
            return origins[key]
        key = key.rpartition(".")[0]
    return default


class _Loader(yaml.SafeLoader):
    """Safe YAML 1.1 in which ``1e-4`` is a number and a key written twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[Any, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, (str, int, float, bool)) and key is not None:
                raise yaml.constructor.ConstructorError(None, None, "a key must be plain text", key_node.start_mark)
            if key in lines:
                message = f"{key!r} is written twice, in lines {lines[key]} and {line}; keep one"
                raise yaml.constructor.ConstructorError(None, None, message, key_node.start_mark)
            lines[key] = line
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9_]+)[eE][-+]?[0-9]+$"),
    list("-+0123456789."),
)


def parse_yaml(text: str, source: str) -> Any:
    """YAML text to plain values; ConfigError carries ``source``, line and column of a mistake.

    Aliases may make few words mean many values, or a value contain itself: what would come to more than 100,000 values
    or be nested more than 64 deep is refused.
    """
    try:
        values = yaml.load(text, Loader=_Loader)
    except RecursionError:
        raise ConfigError(f"is nested more than {MAX_DEPTH} deep; a config is not", source) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(f"{where}{error.problem or 'not valid YAML'}", source) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"not valid YAML: {' '.join(str(error).split())}", source) from None
    except ValueError as error:  # a value YAML promises but Python refuses, such as the date 2024-99-99
        raise ConfigError(f"not valid YAML: {error}", source) from None
    _check_extent(values, source)
    return values


def _check_extent(values: Any, source: str) -> None:
    left, count = [(values, 0)], 0
    while left:
        value, depth = left.pop()
        count += 1
        if depth > MAX_DEPTH:
            raise ConfigError(f"is nested more than {MAX_DEPTH} deep; a config is not", source)
        if count > MAX_VALUES:
            raise ConfigError(f"comes to more than {MAX_VALUES} values (aliases count each time)", source)
        if isinstance(value, str) and "\0" in value:
            raise ConfigError(f"the text {value[:40]!r} holds a NUL character, which no path or name may", source)
        if isinstance(value, int) and abs(value) > MAX_INTEGER:
            raise ConfigError(f"holds an integer of {value.bit_length()} bits, expected at most 63", source)
        if isinstance(value, (dict, list, tuple, set)):
            left += [(entry, depth + 1) for entry in (value.values() if isinstance(value, dict) else value)]


def load_config_file(path: str) -> ConfigTree:
    """A config file with its bases merged in.

    Raises:
        ConfigError: a file is missing or unreadable, is not a mapping, is not YAML, or inherits from itself.
    """
    return _load(os.path.normpath(path), ())


def _load(path: str, parents: tuple[str, ...]) -> ConfigTree:
    real = os.path.realpath(path)
    if real in parents:
        chain = " -> ".join(os.path.basename(p) for p in (*parents[parents.index(real) :], real))
        raise ConfigError(f"{BASE_KEY}: the file inherits from itself: {chain}", path)
    values = parse_yaml(_read(path, parents), path)
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(f"expected 'key: value' lines at the top level, got {type(values).__name__}", path)
    bases = values.pop(BASE_KEY, [])
    bases = [bases] if isinstance(bases, str) else bases
    if not isinstance(bases, list) or not all(isinstance(b, str) for b in bases):
        raise ConfigError(f"{BASE_KEY}: expected a file name or a list of file names, got {bases!r}", path)
    tree = ConfigTree()
    for base in reversed(bases):  # the first one is merged last and wins
        file = os.path.normpath(os.path.join(os.path.dirname(path), os.path.expanduser(base)))
        inherited = _load(file, (*parents, real))
        _merge_top(tree, inherited.values, inherited.origins)
    _merge_top(tree, values, origins_of(values, path))
    return tree


def _read(path: str, parents: Sequence[str]) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(MAX_CHARACTERS + 1)
    except UnicodeDecodeError as error:
        raise ConfigError(f"the file is not UTF-8 text (byte {error.start}); save it as UTF-8", path) from None
    except OSError as error:
        named = f"; it is the {BASE_KEY} of {os.path.basename(parents[-1])}" if parents else ""
        raise ConfigError(f"cannot read the config file: {error.strerror}{named}", path) from None
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(f"has more than {MAX_CHARACTERS} characters; a config has a few thousand", path)
    return text


def origins_of(values: Mapping[str, Any], source: str, prefix: str = "") -> dict[str, str]:
    """``source`` for every leaf of ``values``; a list is one leaf, an empty mapping too."""
    found: dict[str, str] = {}
    for key, value in values.items():
        if key == INHERITED_KEY:
            continue
        dotted = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            found.update(origins_of(value, source, f"{dotted}."))
        else:
            found[dotted] = source
    return found


def _merge_top(tree: ConfigTree, values: dict[str, Any], origins: Mapping[str, str]) -> None:
    for pair in EXCLUSIVE:
        for mine, other in (pair, pair[::-1]):
            if mine in values and other not in values and other in tree.values:
                _drop(tree, other)
    tree.values = _merge(tree.values, values, "", tree.origins)
    tree.origins.update(origins)


def _drop(tree: ConfigTree, key: str) -> None:
    del tree.values[key]
    _forget(tree.origins, key)


def _forget(origins: dict[str, str], key: str) -> None:
    for known in [k for k in origins if k == key or k.startswith(f"{key}.")]:
        del origins[known]


def _merge(base: Any, child: Any, key: str, origins: dict[str, str]) -> Any:
    """``child`` over ``base``; forgets the origins of everything that is replaced."""
    if not isinstance(child, dict):
        _forget(origins, key)
        return child
    inherited = child.get(INHERITED_KEY, True)
    if not isinstance(base, dict) or inherited is False:
        if key:
            _forget(origins, key)
        else:
            origins.clear()
        base = {}
    merged = dict(base)
    for name, value in child.items():
        if name != INHERITED_KEY:
            merged[name] = _merge(base.get(name), value, f"{key}.{name}" if key else str(name), origins)
    return merged
