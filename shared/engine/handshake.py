"""Before the first step all ranks must mean the same run: config, file lists, versions."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from shared.config.effective import config_to_dict
from shared.config.run_config import RunConfig
from shared.datasets.base import SegmentationDataset
from shared.engine.ranks import Ranks
from shared.errors import MachineError

#: Where a machine may differ: the file's own path, and where its copy of the data lies.
_OF_THE_MACHINE = ("source", "origins", "dataset_root")
_MOST_FINDINGS = 10
_ABSENT = "(absent)"


def config_facts(run: RunConfig, mode: str, versions: Mapping[str, str]) -> dict[str, str]:
    """Every value of the run by dotted key, the mode and the versions, as text."""
    facts = {f"version of {name}": version for name, version in versions.items()}
    facts["mode"] = mode
    _flatten(config_to_dict(run), "", facts)
    return facts


def file_facts(dataset: SegmentationDataset, name: str) -> dict[str, str]:
    """Number and digest of a data set's files, by their paths below their common folder."""
    paths = [str(path) for record in dataset.records for path in (record.image, record.label) if path is not None]
    root = os.path.commonpath([os.path.dirname(path) for path in paths]) if paths else None
    text = "\n".join(os.path.relpath(path, root) for path in paths)
    return {
        f"{name}: number of images": str(len(dataset)),
        f"{name}: digest of its file list": hashlib.sha256(text.encode()).hexdigest()[:12],
    }


def compare(ranks: Ranks, facts: Mapping[str, str]) -> None:
    """Let all ranks compare what they were given.

    Raises:
        MachineError: on every rank, with the ranks, the keys and the values that differ from rank 0's.
    """
    said: Sequence[dict[str, str]] = ranks.gather(dict(facts))
    findings = [
        f"{key}: rank 0 has {said[0].get(key, _ABSENT)}, rank {rank} has {other.get(key, _ABSENT)}"
        for rank, other in enumerate(said)
        for key in sorted(said[0].keys() | other.keys())
        if said[0].get(key, _ABSENT) != other.get(key, _ABSENT)
    ]
    if not findings:
        return
    shown = "".join(f"\n  - {finding}" for finding in findings[:_MOST_FINDINGS])
    more = len(findings) - _MOST_FINDINGS
    raise MachineError(
        "the ranks were not given the same run:" + shown + (f"\n  and {more} more" if more > 0 else "") + "\n"
        "start every rank with the same command, the same files and the same versions"
    )


def _flatten(value: Any, key: str, facts: dict[str, str]) -> None:
    if isinstance(value, Mapping):
        for name, entry in value.items():
            if name not in _OF_THE_MACHINE:
                _flatten(entry, f"{key}.{name}" if key else str(name), facts)
    else:
        facts[key] = str(value)
