"""What a run's config says otherwise than the one its checkpoint was written with."""

from __future__ import annotations

from collections.abc import Mapping

_ABSENT = "(absent)"
_OF_THE_PLACE = ("source", "origins", "save_dir", "resume_from", "vdl_log_dir")
_DEEPEST = 16  # a checkpoint is a file like others: its config may be anything
_MOST = 50
_LONGEST = 200


def differences(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    """What two configs, as ``config_to_dict`` gives them, say otherwise: ``key: was X, now Y``.

    Where files lie and come from (``source``, ``origins``, ``save_dir``, ``resume_from``) is left out.
    """
    was, now = _leaves(old), _leaves(new)
    found = [
        f"{key}: was {was.get(key, _ABSENT)[:_LONGEST]}, now {now.get(key, _ABSENT)[:_LONGEST]}"
        for key in dict.fromkeys((*was, *now))
        if was.get(key, _ABSENT) != now.get(key, _ABSENT)
    ]
    return found if len(found) <= _MOST else [*found[:_MOST], f"and {len(found) - _MOST} more values"]


def _leaves(value: object, key: str = "", depth: int = 0) -> dict[str, str]:
    """Every value by dotted key, as text; entries of lists by their number."""
    if depth > _DEEPEST:
        return {key: "(nested too deeply)"}
    if isinstance(value, Mapping):
        items = [(str(name), entry) for name, entry in value.items() if name not in _OF_THE_PLACE]
    elif isinstance(value, (list, tuple)) and any(isinstance(entry, (Mapping, list, tuple)) for entry in value):
        items = [(str(place), entry) for place, entry in enumerate(value)]
    else:
        return {key: str(list(value)) if isinstance(value, tuple) else str(value)}
    found: dict[str, str] = {}
    for name, entry in items:
        found.update(_leaves(entry, f"{key}.{name}" if key else name, depth + 1))
    return found
