"""The environment script never touches a folder it did not make."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "setup_env.py"


def test_error_a_folder_of_the_user_is_left_alone(tmp_path):
    kept = tmp_path / "mine.txt"
    kept.write_text("precious")
    done = subprocess.run([sys.executable, str(SCRIPT), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "was not made by this script" in done.stderr
    assert kept.read_text() == "precious"
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
