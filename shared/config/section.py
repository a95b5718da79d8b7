"""Reading one mapping of a config key by key, so that nothing stays unread and every finding is collected."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from shared.config.annotations import value_problem
from shared.registry import closest

MISSING: Any = object()


class Findings(list[str]):
    """The problems found so far, each beginning with its dotted key."""


class Section:
    """A mapping at a dotted key whose entries are taken one by one.

    >>> findings = Findings()
    >>> section = Section({"momentun": 0.9}, "optimizer", findings)
    >>> section.take("momentum", "float", 0.9)
    0.9
    >>> section.finish("a momentum optimizer")
    >>> findings
    ["optimizer.momentun: a momentum optimizer has no key 'momentun'; did you mean 'momentum'?"]
    """

    def __init__(self, values: Any, key: str, findings: Findings) -> None:
        self.key = key
        self.findings = findings
        self._asked: list[str] = []
        if isinstance(values, Mapping):
            self._values = {str(k): v for k, v in values.items()}
        else:
            findings.append(f"{key}: expected a mapping, got {values!r}")
            self._values = {}

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def dotted(self, name: str) -> str:
        """The dotted key of an entry."""
        return f"{self.key}.{name}" if self.key else name

    def problem(self, name: str, sentence: str) -> None:
        """Record a finding about the entry ``name``."""
        self.findings.append(f"{self.dotted(name)}: {sentence}")

    def take(
        self,
        name: str,
        annotation: str,
        default: Any = MISSING,
        *,
        at_least: float | None = None,
        above: float | None = None,
        one_of: Collection[Any] | None = None,
    ) -> Any:
        """The value of ``name``; ``default`` where it is absent or wrong (None where there is no default).

        Args:
            name: the key.
            annotation: the type, written as an annotation (``"int | None"``); an int is made a float for ``"float"``.
            default: for an absent key; without one an absent key is a finding.
            at_least, above: bounds of a number.
            one_of: the permitted values.
        """
        self._asked.append(name)
        fallback = None if default is MISSING else default
        if name not in self._values:
            if default is MISSING:
                self.problem(name, "missing")
            return fallback
        value = self._values[name]
        problem = value_problem(annotation, value, self.dotted(name))
        if problem:
            self.findings.append(problem)
            return fallback
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if number and at_least is not None and value < at_least:
            self.problem(name, f"expected {at_least} or more, got {value}")
            return fallback
        if number and above is not None and value <= above:
            self.problem(name, f"expected more than {above}, got {value}")
            return fallback
        if one_of is not None and value not in one_of:
            self._not_one_of(name, value, one_of)
            return fallback
        return float(value) if annotation == "float" and number else value

    def _not_one_of(self, name: str, value: Any, one_of: Collection[Any]) -> None:
        near = closest(str(value), [str(v) for v in one_of])
        hint = f"; did you mean {near!r}?" if near else ""
        self.problem(name, f"expected one of {', '.join(map(str, one_of))}, got {value!r}{hint}")

    def take_if_off(self, name: str, sentence: str) -> None:
        """Accept ``name`` only while it says "off" (absent, null, false, 0 or empty); else record ``sentence``."""
        self._asked.append(name)
        if self._values.get(name):
            self.problem(name, sentence)

    def finish(self, owner: str) -> None:
        """Report every key that was never asked for, with the nearest one that was."""
        for name in self._values:
            if name in self._asked:
                continue
            near = closest(name, self._asked)
            hint = f"did you mean {near!r}?" if near else f"known: {', '.join(self._asked)}"
            self.problem(name, f"{owner} has no key {name!r}; {hint}")
