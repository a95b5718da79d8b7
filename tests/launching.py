"""Processes as fleetrun starts them, without fleetrun, which takes seconds to notice an end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FLEETRUN = Path(sys.executable).with_name("fleetrun")


class Job:
    """Ranks that were started together; what each writes goes to ``<folder>/rank.<n>``."""

    def __init__(self, commands: Sequence[Sequence[object]], folder: Path) -> None:
        world = len(commands)
        endpoints = [f"127.0.0.1:{port}" for port in free_ports(world)]
        self.logs = [folder / f"rank.{rank}" for rank in range(world)]
        self.processes: list[subprocess.Popen[bytes]] = []
        for rank, command in enumerate(commands):
            environment = {
                **os.environ,
                "PADDLE_TRAINER_ID": str(rank),
                "PADDLE_TRAINERS_NUM": str(world),
                "PADDLE_TRAINER_ENDPOINTS": ",".join(endpoints),
                "PADDLE_CURRENT_ENDPOINT": endpoints[rank],
                "PADDLE_DISTRI_BACKEND": "gloo",
                "OMP_NUM_THREADS": "1",
            }
            with self.logs[rank].open("wb") as log:
                words = [sys.executable, *map(str, command)]
                self.processes.append(
                    subprocess.Popen(words, env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT)
                )

    def wait(self, seconds: float) -> list[int]:
        """The exit codes, all within ``seconds``."""
        end = time.monotonic() + seconds
        return [process.wait(max(0.1, end - time.monotonic())) for process in self.processes]

    def said(self, rank: int) -> str:
        """Everything rank ``rank`` has written so far."""
        return self.logs[rank].read_text(errors="replace")

    def wait_for(self, rank: int, text: str, seconds: float = 120) -> None:
        """Until rank ``rank`` has written ``text``."""
        end = time.monotonic() + seconds
        while text not in self.said(rank):
            if self.processes[rank].poll() is not None or time.monotonic() > end:
                raise AssertionError(f"rank {rank} has not said {text!r}:\n{self.said(rank)[-3000:]}")
            time.sleep(0.05)

    def all_said(self) -> str:
        """For the message of a failed assertion."""
        return "\n".join(f"--- rank {rank}\n{self.said(rank)[-3000:]}" for rank in range(len(self.processes)))


@contextmanager
def started(commands: Sequence[Sequence[object]], folder: Path) -> Iterator[Job]:
    """One process per command (words after ``python``), each a rank; none of them outlives the body."""
    job = Job(commands, folder)
    try:
        yield job
    finally:
        for process in job.processes:
            if process.poll() is None:
                process.kill()
            process.wait()


def run_ranks(commands: Sequence[Sequence[object]], folder: Path, seconds: float = 240) -> Job:
    """Start ranks and wait until all of them have ended well."""
    with started(commands, folder) as job:
        codes = job.wait(seconds)
        if any(codes):
            raise AssertionError(f"the ranks ended with {codes}\n{job.all_said()}")
    return job


def fleetrun(world: int, words: Sequence[object], cwd: Path, folder: Path, seconds: float = 300) -> str:
    """``fleetrun --nproc_per_node <world> --backend gloo <words>``, which must end well; what it printed."""
    command = [FLEETRUN, "--nproc_per_node", world, "--backend", "gloo", "--log_dir", folder / "log", *words]
    process = subprocess.Popen(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=seconds)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)  # on which it ends its ranks, which have sessions of their own
            process.wait(60)
    logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted((folder / "log").glob("workerlog.*")))
    if process.returncode:
        raise AssertionError(f"fleetrun ended with {process.returncode}\n{said[-3000:]}\n{logs}")
    return said


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether ``condition`` comes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
