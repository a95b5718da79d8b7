"""Freed memory: what a process still holds."""

from __future__ import annotations

import subprocess
import sys

import pytest

from shared import freed_memory

SCRIPT = """
import numpy as np
from shared.freed_memory import keep_freed_memory

def held():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

def freed(mib):
    "What is held after blocks of 30 MiB were used and freed, with small ones in between that stay."
    before = held()
    blocks, between = [], []
    for _ in range(mib // 30):
        blocks.append(np.ones(30 * 2**17))
        between.append(np.ones(2**12))
    blocks.clear()
    after.append(between)
    return round(held() - before)

after = []
{work}
"""


def _printed(work):
    ended = subprocess.run([sys.executable, "-c", SCRIPT.replace("{work}", work)], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return [int(word) for word in ended.stdout.split()]


needs_glibc = pytest.mark.skipif(freed_memory._mallopt() is None, reason="another C library")


@needs_glibc
def test_value_blocks_are_kept_up_to_a_size():
    (kept,) = _printed("keep_freed_memory(32, 2000)\nprint(freed(300))")
    assert 290 <= kept <= 320
    (given_back,) = _printed("keep_freed_memory(16, 2000)\nprint(freed(300))")
    assert given_back <= 10


def test_value_another_c_library_is_left_alone(monkeypatch):
    class Bare:
        """A C library without these functions."""

    monkeypatch.setattr(freed_memory.ctypes, "CDLL", lambda _: Bare())
    freed_memory.keep_freed_memory(32, 64)


def test_value_an_old_glibc_keeps_what_it_may(monkeypatch):
    given = []

    def mallopt(option, value):
        given.append((option, value >> 20))
        return int(option != freed_memory._MMAP_THRESHOLD or value <= 2**25)

    monkeypatch.setattr(freed_memory, "_mallopt", lambda: mallopt)
    freed_memory.keep_freed_memory(256, 512)
    assert given == [(-3, 256), (-3, 32), (-1, 512)]


@pytest.mark.parametrize("name", ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"])
def test_value_what_the_user_has_set_stays(monkeypatch, name):
    given = []
    monkeypatch.setattr(freed_memory, "_mallopt", lambda: lambda *option: given.append(option) or 1)
    monkeypatch.setenv(name, "1000000")
    freed_memory.keep_freed_memory(256, 512)
    assert given == []
    monkeypatch.delenv(name)
    freed_memory.keep_freed_memory(256, 512)
    assert len(given) == 2
