"""The table of types: its lines, and the whole script on a recipe."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dygraph.engine.operator_calls import OperatorCall
from scripts.precision_table import table

CONV = OperatorCall("head.conv", "conv2d", ("float16", "float32"), "float16")
SUM = OperatorCall("", "sum", ("float16",), "float32")


def test_value_one_line_an_operator():
    heads, conv, last = table([CONV, SUM], [CONV, SUM])
    assert heads.split() == ["layer", "operator", "inputs", "runs", "in"]
    assert conv.split() == ["head.conv", "conv2d", "float16", "float32", "float16"]
    assert last.split() == ["(network)", "sum", "float16", "float32"]


def test_value_equal_inputs_are_counted():
    norm = OperatorCall("bn", "batch_norm", ("float16", *["float32"] * 4), "float16")
    assert "float16 float32*4" in table([norm], [norm])[1]


def test_value_a_disagreement_is_marked_and_shows_both():
    other = OperatorCall("head.conv", "conv2d", ("float16", "float32"), "float32")
    _, conv, last = table([CONV], [other, SUM])
    assert conv.startswith("!")
    assert conv.endswith("float16; static: conv2d(float16, float32) of head.conv in float32")
    assert last.endswith("missing in eager mode; static: sum(float16) of (network) in float32")


def run(root, *arguments):
    command = [sys.executable, "scripts/precision_table.py", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("config", "flags", "heading"),
    [
        ("configs/fastscnn/fastscnn_cityscapes_1024x1024_160k.yml", ("--precision", "bf16"), "bfloat16 at level O1"),
        ("legacy/configs/deeplabv3p_resnet50_vd_cityscapes.yaml", ("--amp_level", "O2"), "float16 at level O2"),
    ],
    ids=["eager", "static"],
)
def test_value_of_a_config_of_either_kind(root, config, flags, heading):
    ended = run(root, "--config", config, *flags)
    assert ended.returncode == 0, ended.stderr
    first, *_, last = ended.stdout.splitlines()
    assert heading in first
    assert last == "eager and static mode agree on every operator"
    assert "GetAmpDestDtype" not in ended.stderr, "the tracer's log is read, not shown"


def test_error_no_such_config(root):
    ended = run(root, "--config", "nowhere.yml")
    assert ended.returncode == 2
    assert "nowhere.yml" in ended.stderr
