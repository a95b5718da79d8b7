"""Processes that take turns on the same work, and what their times say about each other.

On a machine that others use too, times drift; the ratio of two turns that follow each other drifts less. So every round
lets each contender do its work once, one after the other, in changing order, and ratios are taken within a round.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scripts.bench import peers

REST_SECONDS = 0.3  # OpenMP's threads go on spinning 0.2 s after their work, on the cores of whose turn is next


@dataclass(frozen=True)
class Contender:
    """A side and its job.

    Attributes:
        name: how it is called in the tables.
        side: ``ours`` or a peer of :data:`scripts.bench.peers.PEERS`.
        job: a job of that side.
        arguments: of the job.
        environ: variables it is started with, on top of those of the contest's process.
    """

    name: str
    side: str
    job: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Record:
    """What a contender did: the facts of every round, and the seconds from its start until it was ready."""

    rounds: list[dict[str, Any]] = field(default_factory=list)
    ready_seconds: float = 0.0
    first_seconds: float = 0.0

    def values(self, fact: str = "seconds") -> list[float]:
        """One fact of every round."""
        return [one[fact] for one in self.rounds]

    def median(self, fact: str = "seconds") -> float:
        """The median of one fact over the rounds."""
        return statistics.median(self.values(fact))


class _Process:
    def __init__(self, contender: Contender) -> None:
        words = [*peers.command(contender.side), contender.job, json.dumps(dict(contender.arguments))]
        # PYTHONPATH of ours must not reach a peer
        environ = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        started = time.perf_counter()
        self.name = contender.name
        self.said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - until the end
        self.process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            text=True,
            env={**environ, **contender.environ},
            cwd=peers.ROOT,
        )
        self._answer()
        self.ready_seconds = time.perf_counter() - started

    def play(self) -> dict[str, Any]:
        time.sleep(REST_SECONDS)
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self._answer()

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.said.close()

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.said.seek(0)
            words = self.said.read()[-3000:]
            raise SystemExit(f"error: {self.name} ended with exit code {self.process.returncode}:\n{words}")
        return json.loads(line)


def hold(contenders: Sequence[Contender], rounds: int, warm_up: int = 1) -> dict[str, Record]:
    """Start every contender, let them take turns, and end them.

    Args:
        rounds: that count.
        warm_up: rounds before these, of which the first one's seconds are kept as ``first_seconds``.
    """
    processes: dict[str, _Process] = {}
    records = {contender.name: Record() for contender in contenders}
    try:
        for contender in contenders:
            process = processes[contender.name] = _Process(contender)
            records[contender.name].ready_seconds = process.ready_seconds
            for turn in range(warm_up):
                facts = process.play()
                if turn == 0:
                    records[contender.name].first_seconds = facts["seconds"]
        names = list(processes)
        for turn in range(rounds):
            for name in names if turn % 2 == 0 else reversed(names):
                records[name].rounds.append(processes[name].play())
    finally:
        for process in processes.values():
            process.end()
    return records


@dataclass(frozen=True)
class Ratio:
    """The median of a ratio over the rounds, with the quartiles around it."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f}x ({self.low:.2f} to {self.high:.2f})"

    def as_json(self) -> dict[str, float]:
        """Plain numbers."""
        return {"median": self.median, "low": self.low, "high": self.high}


def ratio(slower: Sequence[float], faster: Sequence[float]) -> Ratio:
    """How many times longer the first took, round by round.

    >>> str(ratio([2.0, 4.0, 6.0], [1.0, 2.0, 2.0]))
    '2.00x (2.00 to 2.50)'
    """
    quotients = sorted(a / b for a, b in zip(slower, faster))
    if len(quotients) == 1:
        return Ratio(quotients[0], quotients[0], quotients[0])
    low, middle, high = statistics.quantiles(quotients, n=4, method="inclusive")
    return Ratio(middle, low, high)
