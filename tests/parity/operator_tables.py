"""Precision tables of both modes, made in a process of their own, whose Paddle writes its log.

``python -m tests.parity.operator_tables JOB OUT``, with ``{"names", "dtype", "level", "data_format"}`` as JSON, writes
``{name: {mode: [[layer, operator, inputs, runs_in], ...]}}``.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from shared import runtime

ROOT = Path(__file__).resolve().parents[2]
IMAGE_SHAPE = (2, 3, 32, 48)


def in_a_process_of_its_own(out: Path, **job: Any) -> dict[str, dict[str, list]]:
    """The tables of a job; fails with the process's stderr."""
    environment = {**os.environ, "GLOG_minloglevel": "0", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.parity.operator_tables", json.dumps(job), str(out)]
    ended = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return json.loads(out.read_text())


def main(job: dict[str, Any]) -> dict[str, dict[str, list]]:
    import paddle

    from dygraph.build import build_model
    from dygraph.engine import precision as policy
    from dygraph.engine.operator_types import eager_operator_types
    from legacy.pdseg.operator_types import static_operator_types
    from tests.zoo import ZOO

    precision = policy.Precision(job["dtype"], job.get("level", "O1"))
    found = {}
    for name in job["names"]:
        build = partial(build_model, ZOO[name].small_spec, num_classes=5, data_format=job.get("data_format", "NCHW"))
        eager = eager_operator_types(build(), paddle.randn(IMAGE_SHAPE), precision)
        policy.LOW -= set(job.get("static_only_without", ()))  # a planted difference
        static = static_operator_types(build, IMAGE_SHAPE, precision)
        found[name] = {
            mode: [dataclasses.astuple(c) for c in calls] for mode, calls in (("eager", eager), ("static", static))
        }
    return found


if __name__ == "__main__":
    runtime.prepare()
    Path(sys.argv[2]).write_text(json.dumps(main(json.loads(sys.argv[1]))))
