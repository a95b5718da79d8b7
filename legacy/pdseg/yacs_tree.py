"""Reading a yacs file and its ``KEY VALUE`` overrides into one checked, frozen tree.

yacs itself stops at the first wrong key and takes no int for a float, so the tree is walked here first: everything
wrong is found, then reported together by the caller.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from yacs.config import CfgNode

from legacy.pdseg.yacs_defaults import OPTIONS, RETIRED, SECTIONS, default_tree
from legacy.pdseg.yacs_values import decode, show
from shared.config.overrides import COMMAND_LINE
from shared.config.yaml_file import ConfigTree, origin_of
from shared.registry import closest

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_.]*)=(.*)", re.DOTALL)


class Problems:
    """Findings by dotted key. The first one of a key is kept: later ones follow from it."""

    def __init__(self) -> None:
        self._by_key: dict[str, str] = {}

    def add(self, key: str, sentence: str) -> None:
        """Note ``"key: sentence"`` unless the key has a finding already."""
        self._by_key.setdefault(key, f"{key}: {sentence}")

    def __contains__(self, key: object) -> bool:
        return key in self._by_key

    def __bool__(self) -> bool:
        return bool(self._by_key)

    def sentences(self) -> list[str]:
        """Every finding, in the order found."""
        return list(self._by_key.values())


def merge(file: ConfigTree, overrides: Sequence[str], problems: Problems) -> tuple[CfgNode, dict[str, str]]:
    """Defaults, then the file, then the command line.

    Args:
        file: the file as YAML gives it, bases merged.
        overrides: ``["BATCH_SIZE", "2", "SOLVER.LR", "0.02"]``.
        problems: findings are added here; an option with a finding keeps its default.

    Returns:
        The frozen tree, and for each option the file it was written in, ``"command line"`` or ``"default"``.
    """
    tree = default_tree()
    origins = dict.fromkeys(OPTIONS, "default")
    from_file = [(key, raw, origin_of(file.origins, key)) for key, raw in _leaves(file.values, problems)]
    from_command = [(key, raw, COMMAND_LINE) for key, raw in _pairs(overrides, problems)]
    replaced = {key for key, _, _ in from_command}
    for key, raw, origin in [leaf for leaf in from_file if leaf[0] not in replaced] + from_command:
        value = _accepted(key, raw, problems)
        if key not in problems:
            _assign(tree, key, value)
            origins[key] = origin
    tree.freeze()
    return tree, origins


def _leaves(content: Mapping[str, Any], problems: Problems, parent: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of everything a file sets; what is no option or section becomes a finding."""
    for name, value in content.items():
        key = f"{parent}.{name}" if parent else str(name)
        if key in OPTIONS:
            yield key, value
        elif key not in SECTIONS:
            problems.add(key, unknown(key))
        elif isinstance(value, Mapping):
            yield from _leaves(value, problems, key)
        elif value is not None:  # a section with nothing below it is an empty one
            problems.add(key, f"got {show(value)}, expected a section with {_names_below(key)} below it")


def _pairs(tokens: Sequence[str], problems: Problems) -> Iterator[tuple[str, str]]:
    """Key and value of every override; unknown keys, sections and words without a partner become findings."""
    position = 0
    while position < len(tokens):
        key = tokens[position]
        value = tokens[position + 1] if position + 1 < len(tokens) else None
        assignment = _ASSIGNMENT.fullmatch(key)
        if assignment:
            problems.add(assignment[1], _separate(key, assignment[1], assignment[2]))
            position += 1
        elif value is None or (key in OPTIONS and value in OPTIONS):
            found = "nothing" if value is None else f"the key {value}"
            problems.add(key, f"has no value ({found} follows it); overrides are KEY VALUE pairs")
            position += 1
        else:
            if key in OPTIONS:
                yield key, value
            elif key in SECTIONS:
                problems.add(
                    key, f"got {show(value)}, but it is a section that holds {_names_below(key)}; write {key}.<name>"
                )
            else:
                problems.add(key, unknown(key))
            position += 2


def _separate(word: str, key: str, value: str) -> str:
    """What to say to ``KEY=VALUE``."""
    hint = "" if key in OPTIONS else f"; besides, {unknown(key)}"
    return f"got {word!r}; separate key and value by a blank: {key} {value}{hint}"


def _accepted(key: str, raw: Any, problems: Problems) -> Any:
    """The value to keep, or a finding for a wrong kind or an option that is not carried."""
    option = OPTIONS[key]
    decoded = decode(raw)
    if option.kind.is_text and isinstance(raw, str) and decoded is not None and not isinstance(decoded, str):
        decoded = raw
    try:
        value = option.kind.parse(decoded)
    except (ValueError, OverflowError):
        problems.add(key, f"got {show(decoded)}, expected {option.kind.expected}")
        return None
    if option.only and value != option.default:
        problems.add(key, f"got {value!r}, but {option.only}")
    return value


def _assign(tree: CfgNode, key: str, value: Any) -> None:
    *sections, leaf = key.split(".")
    for section in sections:
        tree = tree[section]
    tree[leaf] = value


def _names_below(section: str) -> str:
    """What stands directly below a section, for messages."""
    names = {k[len(section) + 1 :].split(".")[0] for k in [*OPTIONS, *SECTIONS] if k.startswith(f"{section}.")}
    return ", ".join(sorted(names))


def unknown(key: str) -> str:
    """What to say about a key that is no option: why it went, where it belongs, or what it is near to."""
    parts = key.split(".")
    for depth in range(len(parts), 0, -1):
        retired = RETIRED.get(".".join(parts[:depth]))
        if retired:
            return retired
    leaf = parts[-1].upper()
    elsewhere = [k for k in OPTIONS if k.rsplit(".", 1)[-1] == leaf and k != key]
    parent = key.rpartition(".")[0]
    siblings = [k for k in [*OPTIONS, *SECTIONS] if k.rpartition(".")[0] == parent]
    near = elsewhere[0] if len(elsewhere) == 1 else closest(key, siblings) or closest(key, [*OPTIONS, *SECTIONS])
    return f"there is no such option; did you mean {near}?" if near else "there is no such option"
