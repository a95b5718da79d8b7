"""The ranks of a run, each with one TCP connection to rank 0: small exchanges, news of deaths, an agreed end.

Why not Paddle's own collectives or its store: a connection of one's own tells of a killed process at once, whatever
device the run is on, and its waiting can be broken off. A reader thread listens on each connection. A process that
ends in good order says ``bye``; one that fails says why; from one that says nothing the kernel closes the connection.
Rank 0 tells the others of all of these.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from shared.engine import wire
from shared.engine.ranks import RankLostError
from shared.errors import MachineError

logger = logging.getLogger(__name__)

JOIN_SECONDS = 120.0  # to meet: by then all processes have been started and have met in Paddle's own rendezvous
GRACE_SECONDS = 20.0  # between the news of a death and leaving by force, for a main thread stuck in a collective
_SILENT_DEATH = "its process is gone without a word (killed, out of memory, or its machine is out of reach)"
_KEEPALIVE = (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 4))  # a machine without power: 30 s


class Hub:
    """Where rank 0 listens until the others have come.

    Attributes:
        port: what the others connect to.
        token: what they have to say first, so that no stranger joins.
    """

    def __init__(self) -> None:
        self._server = socket.create_server(("", 0), backlog=1024)
        self.port: int = self._server.getsockname()[1]
        self.token = secrets.token_hex(16)

    def accept(self, world: int, seconds: float = JOIN_SECONDS) -> Star:
        """Wait for ranks 1 to ``world`` - 1.

        Raises:
            MachineError: not all of them came in time.
        """
        found: dict[int, socket.socket] = {}
        end = time.monotonic() + seconds
        with self._server:
            while len(found) < world - 1:
                self._server.settimeout(max(0.01, end - time.monotonic()))
                try:
                    connection, _ = self._server.accept()
                    connection.settimeout(10)
                    hello = wire.receive(connection)
                except TimeoutError:
                    missing = [rank for rank in range(1, world) if rank not in found]
                    if time.monotonic() >= end:
                        raise MachineError(
                            f"ranks {missing} have not connected to port {self.port} of rank 0 within {seconds:g} s: "
                            "open the machines' ports to each other, or look into the logs of these ranks"
                        ) from None
                    continue
                except (OSError, EOFError, ValueError):
                    continue
                if isinstance(hello, list) and len(hello) == 2 and hello[0] == self.token and hello[1] not in found:
                    found[hello[1]] = connection
                else:
                    connection.close()
        return Star(0, world, found)


def join(host: str, port: int, token: str, rank: int, world: int, seconds: float = JOIN_SECONDS) -> Star:
    """Connect rank ``rank`` to rank 0.

    Raises:
        MachineError: rank 0 cannot be reached.
    """
    try:
        connection = socket.create_connection((host, port), timeout=seconds)
        wire.send(connection, [token, rank])
    except OSError as error:
        raise MachineError(
            f"rank {rank} cannot reach rank 0 at {host}:{port} ({error}): open the machines' ports to each other"
        ) from error
    return Star(rank, world, {0: connection})


class Star:
    """This process among the ranks; the contract is :class:`shared.engine.ranks.Ranks`.

    Args:
        rank, world: this process among all.
        connections: by rank; rank 0 has one to everybody, every other rank has one to rank 0.
        give_up: called by a watchdog thread when a rank was lost and the main thread has not noticed for
            ``grace`` seconds: it is stuck. The default leaves the process.
        grace: see ``give_up``.
    """

    def __init__(
        self,
        rank: int,
        world: int,
        connections: Mapping[int, socket.socket],
        give_up: Callable[[RankLostError], None] | None = None,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self.rank = rank
        self.world = world
        self._connections = dict(connections)
        self._give_up = give_up or _leave_by_force
        self._grace = grace
        self._news = threading.Condition()
        self._sending = {peer: threading.Lock() for peer in connections}
        self._turn = 0
        self._inbox: dict[int, dict[int, Any]] = {}  # by turn and rank
        self._lost: dict[int, str] = {}
        self._left: set[int] = set()
        self._noticed = threading.Event()
        self._closed = False
        self._asked: int | None = None  # the signal this rank got, or heard of
        self._asked_said = False
        self._stop: tuple[int, int] | None = None  # (after this many steps, signal)
        self._acknowledged: set[int] = set()
        for peer, connection in self._connections.items():
            connection.settimeout(None)
            _keep_alive(connection)
            threading.Thread(target=self._listen, args=(peer, connection), name=f"rank-{peer}", daemon=True).start()

    # exchanges

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value, in order, on every rank."""
        turn = self._next_turn()
        if self.rank != 0:
            self._send(0, {"kind": "value", "turn": turn, "value": value})
            return self._take(turn, [0])[0]
        others = self._take(turn, list(self._connections))
        values = [value, *(others[rank] for rank in range(1, self.world))]
        for peer in self._connections:
            self._send(peer, {"kind": "value", "turn": turn, "value": values})
        return values

    def broadcast(self, value: Any) -> Any:
        """The value of rank 0, on every rank."""
        turn = self._next_turn()
        if self.rank != 0:
            return self._take(turn, [0])[0]
        for peer in self._connections:
            self._send(peer, {"kind": "value", "turn": turn, "value": value})
        return value

    def sum(self, array: np.ndarray) -> np.ndarray:
        """The sum of the ranks' arrays, added in their order."""
        return np.sum(self.gather(array), axis=0, dtype=array.dtype)

    def barrier(self) -> None:
        """Wait for all."""
        self.gather(None)

    def _next_turn(self) -> int:
        self._raise_if_lost()
        self._turn += 1
        return self._turn

    def _take(self, turn: int, peers: list[int]) -> dict[int, Any]:
        """Wait until every one of ``peers`` has sent its value of this turn."""
        with self._news:
            while not all(peer in self._inbox.get(turn, {}) for peer in peers):
                for peer in self._left:
                    if peer in peers and peer not in self._inbox.get(turn, {}):
                        self._lost.setdefault(peer, "it has left the run while the others still need it")
                self._raise_if_lost()
                self._news.wait(1.0)
            return self._inbox.pop(turn)

    # the agreed end

    def ask_to_stop(self, number: int) -> None:
        """What a signal handler calls; it only makes a note, for the main thread may hold any lock."""
        self._asked = number

    def stop_wanted(self) -> bool:
        """Whether any rank is known to have been asked; tells the others what this one was asked."""
        if self._asked is not None and not self._asked_said:
            self._asked_said = True
            for peer in list(self._connections):
                self._send(peer, {"kind": "stop", "signal": self._asked})
        return self._asked is not None

    def before_step(self, done: int) -> None:
        """Rank 0 names the end before it takes part in step ``done`` + 1: no other rank can have finished that step
        without it, and it waits until all of them have heard.
        """
        self._raise_if_lost()
        if not self.stop_wanted() or self.rank != 0 or self._stop is not None:
            return
        end, number = done + 1, self._asked or 0
        for peer in self._connections:
            self._send(peer, {"kind": "end", "after": end, "signal": number})
        with self._news:
            while not self._acknowledged.issuperset(set(self._connections) - self._left):
                self._raise_if_lost()
                self._news.wait(1.0)
            self._stop = (end, number)

    def stop_signal(self, done: int) -> int | None:
        """The signal that ends the run after ``done`` steps, alike on every rank; None: go on."""
        stop = self._stop
        return stop[1] if stop is not None and done >= stop[0] else None

    # death

    def lost(self, wait: float = 0.0) -> RankLostError | None:
        """What is known of a dead rank, after waiting up to ``wait`` seconds for news of one."""
        end = time.monotonic() + wait
        with self._news:
            while not self._lost and (left := end - time.monotonic()) > 0:
                self._news.wait(left)
            if not self._lost:
                return None
            self._noticed.set()
            rank, why = next(iter(self._lost.items()))
            return RankLostError(rank, why, [r for r in range(self.world) if r not in self._lost])

    def close(self, failed: str | None = None) -> None:
        """Leave the others: in good order, or with the sentence about what failed here."""
        if self._closed:
            return
        self._closed = True
        self._noticed.set()
        for peer in list(self._connections):
            self._send(peer, {"kind": "bye"} if failed is None else {"kind": "dying", "why": failed})
        for connection in self._connections.values():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)  # what was sent arrives; the process's end closes the rest

    def _raise_if_lost(self) -> None:
        if self._lost and (error := self.lost()) is not None:
            raise error

    def _send(self, peer: int, message: dict[str, Any]) -> None:
        with self._sending[peer], suppress(OSError):  # a broken connection is the listening thread's news
            wire.send(self._connections[peer], message)

    def _listen(self, peer: int, connection: socket.socket) -> None:
        while True:
            try:
                message = wire.receive(connection)
            except (EOFError, OSError, ValueError):
                if peer not in self._left and not self._closed:
                    self._bury(peer, _SILENT_DEATH)
                return
            self._hear(peer, message)

    def _hear(self, peer: int, message: dict[str, Any]) -> None:
        kind = message["kind"]
        if kind == "dying":
            self._bury(peer, message["why"])
        elif kind == "lost":
            self._bury(message["rank"], message["why"])
        elif kind == "stop":
            relay = self._asked is None and self.rank == 0
            self._asked, self._asked_said = message["signal"], True
            if relay:
                for other in self._connections:
                    self._send(other, {"kind": "stop", "signal": message["signal"]})
        elif kind == "end":
            self._stop = (message["after"], message["signal"])
            self._send(peer, {"kind": "heard"})
        else:
            with self._news:
                if kind == "heard":
                    self._acknowledged.add(peer)
                elif kind == "bye":
                    self._left.add(peer)
                else:
                    self._inbox.setdefault(message["turn"], {})[peer] = message["value"]
                self._news.notify_all()

    def _bury(self, rank: int, why: str) -> None:
        """Note a death, tell the others of it, and see to it that this process ends too."""
        with self._news:
            if rank in self._lost or rank == self.rank:
                return
            first = not self._lost
            self._lost[rank] = why
            self._news.notify_all()
        if self.rank == 0:
            for peer in self._connections:
                if peer != rank:
                    self._send(peer, {"kind": "lost", "rank": rank, "why": why})
        if first:
            threading.Thread(target=self._watch, args=(rank, why), name="watchdog", daemon=True).start()

    def _watch(self, rank: int, why: str) -> None:
        if not self._noticed.wait(self._grace):
            self._give_up(RankLostError(rank, why, []))


def _leave_by_force(error: RankLostError) -> None:
    """The main thread waits in a collective for a rank that will not come: say so, show where, and leave."""
    logger.error("%s; this process hangs in an exchange with it and leaves", error)
    with suppress(OSError, ValueError, AttributeError):
        faulthandler.dump_traceback(all_threads=True)
        sys.stderr.flush()
    os._exit(error.exit_code)


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
