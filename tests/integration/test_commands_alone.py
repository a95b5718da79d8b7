"""Every command as a process of its own: what another test has imported before is not there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

EAGER = "configs/quick_start/street_scenes_fcn_hrnetw18_small.yml"
STATIC = "legacy/configs/hrnetw18_cityscapes_1024x512_215.yaml"

COMMANDS = {
    "dygraph/train.py": ["--config", EAGER],
    "dygraph/val.py": ["--config", EAGER, "--model_path", "none"],
    "dygraph/predict.py": ["--config", EAGER, "--model_path", "none", "--image_path", "none"],
    "dygraph/export.py": ["--config", EAGER, "--model_path", "none"],
    **{f"legacy/pdseg/{name}.py": ["--cfg", STATIC] for name in ("train", "eval", "vis", "export_model", "check")},
    "scripts/check_data.py": ["--config", EAGER],
}


@pytest.mark.slow
@pytest.mark.parametrize("script", COMMANDS)
def test_smoke_reads_its_config(script):
    words = [sys.executable, script, *COMMANDS[script], "--print_config"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "num_classes" in done.stdout
