"""Errors a user can cause. Commands turn each into one message on stderr and an exit code, never a traceback."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class UserError(Exception):
    """Wrong use or bad data: the command ends with exit code 2.

    The message names the value received, the value expected and the next thing to do.
    """

    exit_code = 2


class ConfigError(UserError):
    """One or more findings in a config file or its overrides, reported together.

    Args:
        problems: one sentence per finding, each beginning with its dotted key.
        source: the file (or the command line) the findings belong to.
    """

    def __init__(self, problems: Sequence[str] | str, source: str | None = None) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        self.source = source
        where = f" in {source}" if source else ""
        if len(self.problems) == 1:
            message = f"config error{where}: {self.problems[0]}"
        else:
            message = f"{len(self.problems)} config errors{where}:" + "".join(f"\n  - {p}" for p in self.problems)
        super().__init__(message)


class DataError(UserError):
    """A file of the data set is missing, unreadable or contradicts the config; the message names the file.

    Args:
        message: what was found, what was expected and what to do.
        cause: a key of ``shared.preflight.findings.CAUSES``, by which a report groups its findings.
    """

    def __init__(self, message: str, cause: str = "other") -> None:
        super().__init__(message)
        self.cause = cause


class EntriesError(DataError):
    """Entries of a data set have no file or no partner.

    Args:
        headline: what was being read.
        problems: a sentence for each.
        good: the entries that are in order, in theirs.
        class_names: of the data set, where they are known.
    """

    SHOWN = 10

    def __init__(
        self, headline: str, problems: Sequence[str], good: Sequence[Any] = (), class_names: Sequence[str] = ()
    ) -> None:
        self.problems = list(problems)
        self.good = list(good)
        self.class_names = list(class_names)
        lines = [f"\n  - {problem}" for problem in self.problems[: self.SHOWN]]
        if len(self.problems) > self.SHOWN:
            lines.append(f"\n  ... and {len(self.problems) - self.SHOWN} more")
        count = f"{len(self.problems)} problem" + ("s" if len(self.problems) > 1 else "")
        super().__init__(f"{headline} ({count}):" + "".join(lines), "entries")


class CheckpointError(UserError):
    """A checkpoint or weights file is missing, damaged or belongs to another network."""


class DownloadError(UserError):
    """A file of the network cannot be had, kept or unpacked; the message names its address."""


class MachineError(UserError):
    """The machine lacks what the command asks for: CUDA, a Paddle version, a writable directory."""


class RunFailedError(Exception):
    """A run that began correctly and could not go on (NaN loss, dead worker): exit code 1."""

    exit_code = 1
