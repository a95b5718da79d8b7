"""From processes that fleetrun started to ranks that know each other, over ``paddle.distributed``."""

from __future__ import annotations

import json
import os
import socket

import numpy as np
import paddle

from shared.engine.ranks import Alone, Ranks, launched_as
from shared.engine.star import Hub, join
from shared.errors import MachineError

_ROOM = 256  # bytes for rank 0's address and token


def require_fitting_backend(place: paddle.CPUPlace | paddle.CUDAPlace) -> None:
    """Several processes on CPUs exchange through gloo, on GPUs through NCCL.

    Raises:
        MachineError: fleetrun was told otherwise.
    """
    on_gpu = isinstance(place, paddle.CUDAPlace)
    backend = os.environ.get("PADDLE_DISTRI_BACKEND", "auto")
    if not on_gpu and paddle.is_compiled_with_cuda() and backend != "gloo":
        raise MachineError(
            f"the run is on the CPU and fleetrun's backend is {backend!r}: add --backend gloo to fleetrun"
        )
    if on_gpu and backend == "gloo":
        raise MachineError("a GPU was asked for and fleetrun's backend is 'gloo': leave --backend away, or the GPU")


def connect_ranks() -> Ranks:
    """Meet the other processes of this run; alone without fleetrun.

    Must be called in eager mode. Paddle's rendezvous comes first and carries the address of our own
    (:mod:`shared.engine.star`), so that no further port has to be named.
    """
    rank, world = launched_as()
    if world == 1:
        return Alone()
    paddle.distributed.init_parallel_env()
    hub = Hub() if rank == 0 else None
    said = _from_rank_0(json.dumps([_address(), hub.port, hub.token]) if hub else "")
    if hub is not None:
        return hub.accept(world)
    host, port, token = json.loads(said)
    return join(host, port, token, rank, world)


def _address() -> str:
    """Where the other machines reach this one, as fleetrun names it."""
    endpoint = os.environ.get("PADDLE_CURRENT_ENDPOINT") or os.environ.get("PADDLE_TRAINER_ENDPOINTS", "").split(",")[0]
    return endpoint.rpartition(":")[0] or socket.gethostname()


def _from_rank_0(text: str) -> str:
    """A short text of rank 0, on every rank, by a collective."""
    room = np.zeros(_ROOM, np.int32)
    data = text.encode("utf-8")
    room[: len(data)] = np.frombuffer(data, np.uint8)
    shared_room = paddle.to_tensor(room)
    paddle.distributed.broadcast(shared_room, src=0)
    return bytes(shared_room.numpy().astype(np.uint8)).rstrip(b"\0").decode("utf-8")
