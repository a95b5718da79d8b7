"""The environment script never touches a folder it did not make."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from dygraph.paddle_check import OLDEST_PADDLE
from scripts.setup_env import stamp_text

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "setup_env.py"


def test_error_a_folder_of_the_user_is_left_alone(tmp_path):
    kept = tmp_path / "mine.txt"
    kept.write_text("precious")
    done = subprocess.run([sys.executable, str(SCRIPT), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "was not made by this script" in done.stderr
    assert kept.read_text() == "precious"
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_error_paddle_is_no_version(tmp_path):
    command = [sys.executable, str(SCRIPT), str(tmp_path / "new"), "--paddle", "three"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "got 'three', expected a version such as 3.0.0" in done.stderr
    assert not (tmp_path / "new").exists()


def test_value_the_oldest_paddle_is_the_same_everywhere(root):
    """What CI tests is what the refusal of an older Paddle and the packaging say."""
    makefile = (root / "Makefile").read_text()
    oldest = re.search(r"^OLDEST_PADDLE = (\d+\.\d+)\.\d+$", makefile, re.MULTILINE).group(1)
    assert oldest == ".".join(map(str, OLDEST_PADDLE))
    assert f'"paddlepaddle>={oldest},<4"' in (root / "setup.py").read_text()
    assert "make parity-oldest" in (root / ".ci" / "run").read_text()


def test_value_a_pinned_paddle_makes_another_environment():
    assert len({stamp_text(None), stamp_text("3.0.0"), stamp_text("3.1.0")}) == 3
