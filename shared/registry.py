"""Name -> class tables. A config's ``type:`` is looked up here, and nowhere else."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from shared.errors import ConfigError

T = TypeVar("T", bound=Callable[..., Any])


def closest(name: str, candidates: Mapping[str, Any] | list[str]) -> str | None:
    """The candidate most like ``name`` (case is ignored), or None where nothing is near."""
    given = name.lower()
    by_lower = {c.lower(): c for c in candidates}
    found = difflib.get_close_matches(given, list(by_lower), n=1, cutoff=0.6)
    found = found or [c for c in by_lower if len(given) > 2 and given in c]
    return by_lower[found[0]] if found else None


class Registry(Mapping[str, Callable[..., Any]]):
    """The classes of one kind (backbone, transform, ...), by the name configs use.

    >>> SHAPES = Registry("shape")
    >>> @SHAPES.register()
    ... class Square: ...
    >>> SHAPES["Square"] is Square
    True
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Callable[..., Any]] = {}

    def register(self, name: str | None = None) -> Callable[[T], T]:
        """Decorator that adds a class or factory under ``name`` (default: its own name)."""

        def add(entry: T) -> T:
            key = name or entry.__name__
            if key in self._entries:
                raise ValueError(f"{self.kind} {key!r} is registered twice: {self._entries[key]} and {entry}")
            self._entries[key] = entry
            return entry

        return add

    def __getitem__(self, name: str) -> Callable[..., Any]:
        try:
            return self._entries[name]
        except (KeyError, TypeError):
            raise ConfigError(self.unknown(name)) from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def unknown(self, name: object) -> str:
        """The sentence that says ``name`` is not registered and what is."""
        near = closest(str(name), self._entries)
        hint = f"did you mean {near!r}? " if near else ""
        return f"there is no {self.kind} {name!r}; {hint}known: {', '.join(sorted(self._entries))}"

    def parameters(self, name: str) -> Mapping[str, inspect.Parameter]:
        """The constructor's parameters of an entry, without ``self``."""
        return inspect.signature(self[name]).parameters


MODELS = Registry("model")
BACKBONES = Registry("backbone")
LOSSES = Registry("loss")
DATASETS = Registry("dataset")
TRANSFORMS = Registry("transform")
