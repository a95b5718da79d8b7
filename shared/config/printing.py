"""Showing a run: every effective value, and where it came from. The text is a config file again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from shared.config.effective import config_from_dict, config_to_dict, effective_values
from shared.config.run_config import RunConfig
from shared.config.yaml_file import origin_of

__all__ = ["config_from_dict", "config_to_dict", "format_config"]

_COMMENT_COLUMN = 56
_RENAMED = {  # printed key -> keys of other spellings it may have been written under
    "lr_scheduler.learning_rate": ("learning_rate.value", "learning_rate"),
    "lr_scheduler.type": ("learning_rate.decay.type",),
    "lr_scheduler.end_lr": ("learning_rate.decay.end_lr",),
    "lr_scheduler.power": ("learning_rate.decay.power",),
    "lr_scheduler.decay_steps": ("learning_rate.decay.decay_steps",),
    "lr_scheduler.milestones": ("lr_scheduler.boundaries", "lr_scheduler.step_size", "learning_rate.decay.boundaries"),
    "lr_scheduler.gamma": ("lr_scheduler.values", "learning_rate.decay.values"),
    "optimizer.use_nesterov": ("optimizer.nesterov",),
    "data_format": ("model.data_format",),
}


def format_config(run: RunConfig) -> str:
    """YAML text of every effective value, each line ending in a comment with its file, ``command line`` or ``default``.

    The keys are those of an eager config file whichever front-end made the run; loading the text gives the same run.
    A run of the static front-end has the origins of its own keys in a list at the end.
    """
    values = effective_values(run)
    foreign = {k: o for k, o in run.origins.items() if k[:1].isupper() or k.startswith("--")}
    written = {key for key, _ in _lines(effective_values(run, defaults=False), "", "")}
    lines = [f"# effective configuration of {run.source or 'a run'}"]
    for key, text in _lines(values, "", ""):
        comment = "" if foreign else _origin(run, key) if key in written else "default"
        lines.append(f"{text.ljust(_COMMENT_COLUMN)}  # {comment}" if comment and key else text)
    if run.train.batch_is_global:
        lines.append("# batch_size is the global batch, split over the cards")
    lines += [f"# {key}: {origin}" for key, origin in foreign.items() if origin != "default"]
    return "\n".join(lines) + "\n"


def _origin(run: RunConfig, key: str) -> str:
    for name in (key, *_RENAMED.get(key, ())):
        found = origin_of(run.origins, name, "")
        if found:
            return found
    return "default"


def _lines(value: Any, key: str, indent: str) -> Iterator[tuple[str, str]]:
    """(dotted key, line) of a mapping; the key is empty on lines that only open a block."""
    for name, entry in value.items():
        dotted = f"{key}.{name}" if key else str(name)
        if isinstance(entry, Mapping) and entry:
            yield "", f"{indent}{name}:"
            yield from _lines(entry, dotted, f"{indent}  ")
        elif isinstance(entry, list) and any(isinstance(e, Mapping) for e in entry):
            yield "", f"{indent}{name}:"
            for i, item in enumerate(entry):
                yield from _item_lines(item, f"{dotted}.{i}", f"{indent}  ")
        else:
            yield dotted, f"{indent}{name}: {_scalar(entry)}"


def _item_lines(item: Any, key: str, indent: str) -> Iterator[tuple[str, str]]:
    if not isinstance(item, Mapping):
        yield key, f"{indent}- {_scalar(item)}"
        return
    for i, (dotted, line) in enumerate(_lines(item, key, f"{indent}  ")):
        yield dotted, f"{indent}- {line[len(indent) + 2 :]}" if i == 0 else line


def _scalar(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=math.inf, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
