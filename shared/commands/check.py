"""The check command of both modes: every file of the data sets, before a long run."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from shared.config.run_config import RunConfig
from shared.engine.checkpoint import ensure_writable
from shared.preflight.findings import Report, SplitSummary, grouped
from shared.preflight.inspection import inspect
from shared.weights.atomic import atomic_open

logger = logging.getLogger(__name__)


def add_json_flag(parser: argparse.ArgumentParser) -> None:
    """The flag that both modes' check commands have."""
    parser.add_argument("--json", default=None, metavar="FILE", help="write every finding as JSON; - prints it instead")


def check_fully(
    run: RunConfig,
    json_path: str | None = None,
    head_problems: Callable[[RunConfig], Sequence[str]] | None = None,
) -> None:
    """Look at every file of both data sets, and whether the losses fit the network; print how often each class occurs,
    and the warnings.

    Args:
        json_path: write the whole report there as JSON too; ``-`` prints it in place of the text.
        head_problems: gives sentences about losses that do not fit the network.

    Raises:
        DataError: with every finding.
    """
    if json_path not in (None, "-"):
        ensure_writable(Path(json_path).parent)
    report = inspect(run, show_progress=sys.stderr.isatty(), head_problems=head_problems)
    if json_path is not None:
        _write(report, json_path)
    if json_path != "-":
        _print(report)
    report.raise_errors()
    if json_path != "-":
        print("no problems found")


def _write(report: Report, path: str) -> None:
    text = json.dumps(report.to_dict(), indent=2, ensure_ascii=False) + "\n"
    if path == "-":
        print(text, end="", flush=True)
        return
    with atomic_open(Path(path)) as file:
        file.write(text.encode("utf-8"))
    logger.info("wrote %s", path)


def _print(report: Report) -> None:
    for name, split in report.splits.items():
        found = sum(finding.section == name for finding in report.errors)
        print(f"{name}: {split.images} images, {found} with problems")
        print(_histogram(split))
    if report.warnings:
        print(f"{len(report.warnings)} warning{'s' if len(report.warnings) > 1 else ''}:")
        print("\n".join(grouped(report.warnings)))


def _histogram(split: SplitSummary) -> str:
    total = max(sum(split.class_pixels), 1)
    width = max(len(name) for name in split.class_names)
    return "\n".join(
        f"  {index:3d} {name:<{width}} {100 * count / total:7.3f} %"
        for index, (name, count) in enumerate(zip(split.class_names, split.class_pixels))
    )
