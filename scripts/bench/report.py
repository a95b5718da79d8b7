"""What every benchmark writes: a table on the terminal, and a JSON file with the machine and the versions."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.bench import peers
from scripts.machine import processor

RESULTS = peers.HOME / "results"


def parser(description: str, rounds: int) -> argparse.ArgumentParser:
    """The command line every benchmark has."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--rounds", type=positive, default=rounds, metavar="N", help="rounds (default: %(default)s)")
    made.add_argument("--json", type=Path, metavar="FILE", help="where the numbers go (.bench/results/<name>.json)")
    return made


def positive(text: str) -> int:
    """An option's whole number of 1 or more."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number of 1 or more")
    return int(text)


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; numbers to the right."""
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join(["---", *["---:"] * (len(head) - 1)]) + "|"]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def finish(name: str, file: Path | None, sides: Sequence[str], numbers: dict[str, Any], text: str) -> None:
    """Print the text and write the JSON."""
    facts = {
        "benchmark": name,
        "command": " ".join([Path(sys.executable).name, *sys.argv]),
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": {"processor": processor(), "cores": os.cpu_count(), "python": platform.python_version()},
        "load": os.getloadavg(),
        "versions": {side: peers.versions(side) for side in sides},
        **numbers,
    }
    target = file or RESULTS / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(f"{text}\n\n{facts['machine']['cores']} cores of {facts['machine']['processor']}; numbers in {target}")
