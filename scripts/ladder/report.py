"""What a climb came to: the verdict in words, the rungs as lines of text."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata

import paddle

import shared
from scripts.ladder.bits import Both, Comparison
from scripts.ladder.rung import MEANING, Rung, first_red
from scripts.machine import processor


@dataclass(frozen=True)
class Report:
    """One climb.

    Attributes:
        title: what was compared: network and config.
        rungs: in their order.
        losses: summed loss of each step, in both modes.
        environment: what it was run with, for people.
    """

    title: str
    rungs: Sequence[Rung]
    losses: Both[list[float]]
    environment: Mapping[str, str]

    @property
    def red(self) -> Rung | None:
        """The first rung on which something differs."""
        return first_red(self.rungs)

    @property
    def tensors(self) -> int:
        """How many were compared."""
        return sum(len(rung.comparisons) for rung in self.rungs)

    def verdict(self) -> str:
        """One sentence."""
        left_out = [rung.name for rung in self.rungs if rung.left_out]
        if self.red is not None:
            return f"the modes differ, first on the rung “{self.red.name}”, in {self.red.first.name}"
        without = f"; left out: {', '.join(left_out)}" if left_out else ""
        return f"eager and static mode are equal, bit for bit, in {self.tensors} tensors on every rung{without}"


def amount(one: Comparison) -> str:
    """How far apart, for people."""
    if one.equal:
        return "equal"
    return "not comparable" if one.ulps < 0 else f"{one.ulps:,} ulps ({one.absolute:.3g})"


def heading() -> str:
    """Over the lines of :func:`line`."""
    return f"  {'rung':<20}{'tensors':>8}{'differ':>8}  {'largest difference':<34}first that differs"


def line(rung: Rung) -> str:
    """One rung."""
    if rung.left_out:
        return f"- {rung.name:<20}{'':>16}  left out: {rung.left_out}"
    sign, first = ("=", "") if rung.equal else ("x", str(rung.first))
    largest = "equal" if rung.equal else amount(rung.worst)
    counts = f"{len(rung.comparisons):>8}{len(rung.different):>8}"
    return f"{sign} {rung.name:<20}{counts}  {largest:<34}{first}".rstrip()


def where_to_look(rung: Rung) -> str:
    """What a first difference on this rung means."""
    return f"everything before “{rung.name}” is equal, so look at {MEANING[rung.name][1]}"


def environment(**run: object) -> dict[str, str]:
    """Versions and machine, and what ``run`` says of the run."""
    libraries = {name: metadata.version(name) for name in ("numpy", "opencv-python-headless") if _is_there(name)}
    return {
        **{key.replace("_", " "): str(value) for key, value in run.items()},
        "DualSeg": shared.__version__,
        "Paddle": f"{paddle.__version__} ({paddle.version.commit[:10]})",
        **libraries,
        "Python": sys.version.split()[0],
        "processor": processor(),
        "threads": os.environ.get("OMP_NUM_THREADS", "not set"),
        "system": platform.platform(),
        "time": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
    }


def _is_there(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
