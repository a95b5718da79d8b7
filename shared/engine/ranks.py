"""The processes of one run, as the training loop sees them: who am I, what do the others say, are they still there?

One process alone is :class:`Alone`; several, started by fleetrun, meet in :class:`shared.engine.star.Star`. What is
exchanged here is small and on the host; gradients travel by Paddle's collectives (``dygraph/engine/exchange.py``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from shared.errors import RunFailedError

WRITER = 0  # the one rank that writes checkpoints, logs and metrics


def launched_as(environ: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """(rank, world) that fleetrun gave this process; (0, 1) for one started without it."""
    try:
        rank, world = int(environ.get("PADDLE_TRAINER_ID", 0)), int(environ.get("PADDLE_TRAINERS_NUM", 1))
    except ValueError:
        return 0, 1
    return (rank, world) if 0 <= rank < world else (0, 1)


class RankLostError(RunFailedError):
    """Another process of the run has died, so this one cannot go on.

    Attributes:
        rank: the one that was lost.
        alive: those not known to be lost.
    """

    def __init__(self, rank: int, why: str, alive: list[int]) -> None:
        super().__init__(f"rank {rank} has ended the run: {why}")
        self.rank = rank
        self.why = why
        self.alive = alive

    def after(self, done: int, saved: bool) -> RankLostError:
        """The same news with what became of the run."""
        words = f"{self.why}. This rank stopped after iteration {done}" + (
            ", which is saved: resume from it" if saved else ""
        )
        return RankLostError(self.rank, words, self.alive)


class Ranks(Protocol):
    """What the loop, the evaluation and the handshake need of the other processes.

    Every exchange is made by all ranks in the same order, and raises :class:`RankLostError` where one of them is gone.
    Values are what JSON holds, and NumPy arrays within them; tuples arrive as lists.
    """

    rank: int
    world: int

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value, in order, on every rank."""
        ...

    def broadcast(self, value: Any) -> Any:
        """The value of rank 0, on every rank."""
        ...

    def sum(self, array: np.ndarray) -> np.ndarray:
        """The sum of the ranks' arrays, added in their order."""
        ...

    def barrier(self) -> None:
        """Wait for all."""
        ...

    def before_step(self, done: int) -> None:
        """To be called before each step, after ``done`` steps: here ranks agree on where a signal ends the run."""
        ...

    def ask_to_stop(self, number: int) -> None:
        """What a signal handler calls: signal ``number`` wants the run to end."""
        ...

    def stop_wanted(self) -> bool:
        """Whether any rank is known to have been asked to stop: what takes long may be given up."""
        ...

    def stop_signal(self, done: int) -> int | None:
        """The signal that ends the run after ``done`` steps, alike on every rank; None: go on."""
        ...

    def lost(self, wait: float = 0.0) -> RankLostError | None:
        """What is known of a dead rank, after waiting up to ``wait`` seconds for news of one."""
        ...

    def close(self, failed: str | None = None) -> None:
        """Leave the others: in good order, or with the sentence about what failed here."""
        ...


class Alone:
    """The one process of a run without fleetrun."""

    rank = 0
    world = 1

    def __init__(self) -> None:
        self._signal: int | None = None

    def gather(self, value: Any) -> list[Any]:
        """The value, as the only one."""
        return [value]

    def broadcast(self, value: Any) -> Any:
        """The value."""
        return value

    def sum(self, array: np.ndarray) -> np.ndarray:
        """The array."""
        return array

    def barrier(self) -> None:
        """Nobody to wait for."""

    def before_step(self, done: int) -> None:
        """Nobody to agree with."""

    def ask_to_stop(self, number: int) -> None:
        """The run ends after the step at hand."""
        self._signal = number

    def stop_wanted(self) -> bool:
        """Whether a signal came."""
        return self._signal is not None

    def stop_signal(self, done: int) -> int | None:  # noqa: ARG002 - the contract's argument
        """The signal that came, whatever the iteration."""
        return self._signal

    def lost(self, wait: float = 0.0) -> RankLostError | None:  # noqa: ARG002 - the contract's argument
        """Nobody to lose."""
        return None

    def close(self, failed: str | None = None) -> None:
        """Nobody to leave."""
