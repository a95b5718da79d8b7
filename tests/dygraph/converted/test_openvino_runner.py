"""Runners of OpenVINO beside each other in one process."""

from __future__ import annotations

import subprocess
import sys

import pytest

openvino = pytest.importorskip("openvino")

from openvino import opset13 as op  # noqa: E402 - after the package is known to be there

TWO_RUNNERS = """
import gc, os, signal, sys
from pathlib import Path
import numpy as np
from dygraph.converted.openvino_runner import openvino_runner

image = np.zeros((1, 3, 4, 5), np.float32)
runners = [openvino_runner(Path(sys.argv[1]), "f32") for _ in range(2)]
assert all(run(image).shape == image.shape for run in runners)
while runners:  # the first that came is the first that goes
    del runners[0]
    gc.collect()
heard = []
signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
os.kill(os.getpid(), signal.SIGTERM)
assert heard == [signal.SIGTERM]
"""


def test_value_a_signal_after_two_runners_are_gone_is_heard(tmp_path, root):
    image = op.parameter([-1, 3, -1, -1], openvino.Type.f32)
    openvino.save_model(openvino.Model([op.result(op.relu(image))], [image]), str(tmp_path / "model.xml"))
    command = [sys.executable, "-c", TWO_RUNNERS, str(tmp_path / "model.xml")]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr[-2000:]
