"""docs/adding_a_model.md and docs/adding_a_dataset.md, followed to the letter in a copy of the checkout.

A fenced block with ``file=PATH`` is a new file; with ``after="LINE"`` it is added below that line; ``run`` marks
commands.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("configs", "docs", "dygraph", "legacy", "scripts", "shared", "tests")
BLOCK = re.compile(r"^```(\w+) (.+)\n((?:.*\n)*?)```$", re.MULTILINE)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in FOLDERS:
        unwanted = shutil.ignore_patterns("__pycache__", "dataset", "output", "snapshots")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=unwanted)
    for file in ("pyproject.toml", "setup.py"):
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def _follow(page: str, checkout: Path) -> list[str]:
    """Do what the page says; the output of its commands."""
    outputs = []
    for language, words, body in BLOCK.findall((ROOT / "docs" / page).read_text(encoding="utf-8")):
        if language == "bash" and words == "run":
            outputs += [_run(line, checkout) for line in body.splitlines()]
            continue
        file, after = re.fullmatch(r'file=(\S+)(?: after="(.*)")?', words).groups()
        path = checkout / file
        if after is None:
            assert not path.exists(), f"{file} is there already"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body, encoding="utf-8")
        else:
            text = path.read_text(encoding="utf-8")
            assert text.count(f"{after}\n") == 1, f"{page}: {file} has no single line {after!r}"
            path.write_text(text.replace(f"{after}\n", f"{after}\n{body}"), encoding="utf-8")
    return outputs


def _run(command: str, checkout: Path) -> str:
    program, *words = command.split()
    assert program == "python"
    words = [word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command)[1:]]
    done = subprocess.run(
        [sys.executable, *words], cwd=checkout, capture_output=True, text=True, timeout=550, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def test_value_adding_a_model(checkout: Path) -> None:
    tests, _, training = _follow("adding_a_model.md", checkout)
    assert re.search(r"\b1[2-9] passed|\b[2-9]\d passed", tests), tests
    assert "SumNet" in training or "iter: 1/1" in training


def test_value_adding_a_dataset(checkout: Path) -> None:
    rng = np.random.default_rng(0)
    for split, count in (("train", 2), ("val", 1)):
        folder = checkout / "data" / "riverbank" / split
        folder.mkdir(parents=True)
        for i in range(count):
            cv2.imwrite(str(folder / f"{i}_photo.png"), rng.integers(0, 256, (32, 48, 3), np.uint8))
            cv2.imwrite(str(folder / f"{i}_classes.png"), rng.integers(0, 3, (32, 48), np.uint8))
    check, eager, static = _follow("adding_a_dataset.md", checkout)
    assert "Riverbank" in check or "images" in check
    scores = [re.search(r"mIoU:? *([\d.]+)", output).group(1) for output in (eager, static)]
    assert scores[0] == scores[1]
    assert "sand" in eager
