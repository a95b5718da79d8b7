"""Processor settings: what is set is kept, what is missing fits the machine."""

from __future__ import annotations

import logging

import pytest

from shared import runtime
from shared.runtime import threads


@pytest.fixture(params=[True, False], ids=["amd", "other"])
def amd(request, monkeypatch):
    monkeypatch.setattr(runtime, "_is_amd", lambda: request.param)
    monkeypatch.setattr(runtime, "usable_cores", lambda: 6)
    return request.param


def test_value_an_empty_environment_is_filled(amd, caplog):
    environ = {}
    with caplog.at_level(logging.INFO):
        chosen = runtime.prepare(environ)
    wanted = {"OMP_NUM_THREADS": "6", "FLAGS_paddle_num_threads": "6"}
    if amd:
        wanted["MKL_DEBUG_CPU_TYPE"] = "5"
    assert chosen == wanted
    assert environ == {**wanted, "GLOG_minloglevel": "2"}
    assert "OMP_NUM_THREADS=6" in caplog.text


def test_value_what_is_set_stays(amd, caplog):
    given = {
        "OMP_NUM_THREADS": "2",
        "FLAGS_paddle_num_threads": "3",
        "MKL_DEBUG_CPU_TYPE": "4",
        "GLOG_minloglevel": "0",
    }
    environ = dict(given)
    with caplog.at_level(logging.INFO):
        assert runtime.prepare(environ) == {}
    assert environ == given
    assert caplog.text == ""


def test_value_paddle_follows_omp(amd):
    environ = {"OMP_NUM_THREADS": "1"}
    runtime.prepare(environ)
    assert environ["FLAGS_paddle_num_threads"] == "1"
    assert environ["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("vendor_id\t: AuthenticAMD\n", True), ("vendor_id\t: GenuineIntel\n", False), ("CPU implementer : 0x41", False)],
)
def test_value_the_vendor_is_read_from_cpuinfo(text, wanted, tmp_path):
    (tmp_path / "cpuinfo").write_text(text)
    assert runtime._is_amd(tmp_path / "cpuinfo") is wanted


def test_value_without_cpuinfo_the_platform_is_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime.platform, "processor", lambda: "AMD64 Family 25, AuthenticAMD")
    assert runtime._is_amd(tmp_path / "none")


def test_value_cores_are_those_this_process_may_use(monkeypatch):
    monkeypatch.setattr(runtime.os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert runtime.usable_cores() == 3
    monkeypatch.delattr(runtime.os, "sched_getaffinity")
    monkeypatch.setattr(runtime.os, "cpu_count", lambda: None)
    assert runtime.usable_cores() == 1


@pytest.mark.parametrize(("value", "expected"), [("3", 3), ("4,2", 4), (None, 0)])
def test_value_threads_of_a_library(monkeypatch, value, expected):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if value is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert threads() == expected
