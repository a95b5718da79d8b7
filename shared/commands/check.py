"""The ``check`` command: every file of the data sets, before a long run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shared.config.run_config import RunConfig
from shared.engine.data import build_dataset
from shared.engine.preflight import check_records, raise_findings


def check_fully(run: RunConfig) -> None:
    """The ``check`` command: every file of both data sets, and how often each class occurs.

    Raises:
        DataError: with every finding.
    """
    problems = []
    for name, section in (("train_dataset", run.train_data), ("val_dataset", run.val_data)):
        if section is None:
            continue
        dataset = build_dataset(section, name)
        found, counts = check_records(dataset.records, dataset)
        problems += found
        print(f"{name}: {len(dataset)} images, {len(found)} with problems")
        print(_histogram(counts, dataset.class_names))
        absent = [label for label, count in zip(dataset.class_names, counts) if count == 0]
        if absent:
            print(f"warning: {name} has no pixel of {', '.join(absent)}")
    raise_findings(problems)
    print("no problems found")


def _histogram(counts: np.ndarray, class_names: Sequence[str]) -> str:
    total = max(int(counts.sum()), 1)
    width = max(len(name) for name in class_names)
    return "\n".join(
        f"  {index:3d} {name:<{width}} {100 * count / total:7.3f} %"
        for index, (name, count) in enumerate(zip(class_names, counts))
    )
