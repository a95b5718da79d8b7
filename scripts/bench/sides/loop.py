"""The side of a contest that is measured: prepared once, it does a round whenever it is told to.

On standard output go lines of JSON alone; whatever libraries print goes to standard error.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

Round = Callable[[], Any]


def serve(jobs: Mapping[str, Callable[..., Round]]) -> None:
    """Run the job of the command line: ``JOB JSON``.

    Args:
        jobs: by name, a function that takes the JSON's keys, prepares, and returns a round. A round returns None
            or a mapping of facts; its time is measured here unless ``seconds`` is among them. A key ``in_a_row`` is not
            for the function: so many rounds, one after the other, are played as one, which takes their mean.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(**facts: Any) -> None:
        answers.write(json.dumps(facts) + "\n")
        answers.flush()

    arguments = json.loads(sys.argv[2])
    in_a_row = arguments.pop("in_a_row", 1)
    play = jobs[sys.argv[1]](**arguments)
    say(ready=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        for _ in range(in_a_row):
            result = play()
        seconds = (time.perf_counter() - start) / in_a_row
        say(**{"seconds": seconds, "peak_mib": peak_mib(), **(result if isinstance(result, dict) else {})})


def peak_mib() -> float:
    """The most memory this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def now_mib() -> float:
    """The memory this process holds now; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        return 0.0
