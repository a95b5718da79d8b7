"""Settings made before Paddle is imported, and data every test may ask for."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests already run on every core

from shared import runtime

runtime.prepare()

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images beside the checkout; skips where it is missing."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real images beside this checkout")
    return folder


def pytest_collection_finish() -> None:
    """What is there before the first test stays: the collector need not look through it again and again."""
    gc.freeze()


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Networks stand in reference cycles; the collector does not know how much memory they hold."""
    if item.get_closest_marker("slow"):
        gc.collect()
