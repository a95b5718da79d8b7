"""Multiply-adds counted by hand, and one row of the table from end to end."""

from __future__ import annotations

import re

import paddle
import paddle.nn.functional as F  # noqa: N812
import pytest

from dygraph.engine.static_mode import building
from scripts import model_table
from scripts.multiply_adds import multiply_adds


def _count(build, shape):
    with building() as (main, _):
        return multiply_adds(main, build(paddle.static.data("x", shape, "float32")))


@pytest.mark.parametrize(
    ("build", "shape", "expected"),
    [
        # 3x3, 4 -> 8 channels, stride 2 on 10x12: 8*5*6 outputs of 4*9 products
        (lambda x: paddle.nn.Conv2D(4, 8, 3, stride=2, padding=1)(x), [2, 4, 10, 12], 2 * 8 * 5 * 6 * 4 * 9),
        (lambda x: paddle.nn.Conv2D(4, 4, 3, padding=1, groups=4)(x), [1, 4, 5, 5], 4 * 25 * 9),
        (lambda x: paddle.nn.Conv2D(4, 8, 1, data_format="NHWC")(x), [1, 5, 6, 4], 8 * 30 * 4),
        # every one of 4*5*5 inputs times a 2x2 kernel to 6 channels
        (lambda x: paddle.nn.Conv2DTranspose(4, 6, 2, stride=2)(x), [1, 4, 5, 5], 100 * 6 * 4),
        (lambda x: paddle.matmul(x, x, transpose_y=True), [2, 3, 7], 2 * 3 * 3 * 7),
        (lambda x: paddle.matmul(x, x, transpose_x=True), [2, 3, 7], 2 * 7 * 7 * 3),
        (lambda x: paddle.bmm(x, paddle.transpose(x, [0, 2, 1])), [2, 3, 7], 2 * 3 * 3 * 7),
        (lambda x: paddle.nn.Linear(7, 5)(x), [3, 7], 3 * 5 * 7),
        (lambda x: F.relu(x) + 1, [3, 7], 0),
    ],
)
def test_value_by_hand(build, shape, expected):
    assert _count(build, shape) == expected


def test_value_only_what_the_output_needs():
    def build(x):
        paddle.nn.Conv2D(3, 50, 3)(x)  # an auxiliary branch
        return paddle.nn.Conv2D(3, 2, 1)(x)

    assert _count(build, [1, 3, 8, 8]) == 64 * 2 * 3


def test_error_open_size():
    with pytest.raises(ValueError, match="one image size"):
        _count(lambda x: paddle.nn.Conv2D(3, 4, 1)(x), [None, 3, 8, 8])


@pytest.mark.parametrize("size", ["512", "ax7", "16x512"])
def test_error_size(size, capsys):
    with pytest.raises(SystemExit) as stopped:
        model_table.main(["--size", size])
    assert stopped.value.code == 2
    assert "WIDTHxHEIGHT" in capsys.readouterr().err


def test_error_unknown_network():
    with pytest.raises(SystemExit, match="Nonesuch"):
        model_table.recipes(["Nonesuch"])


@pytest.mark.slow
def test_smoke_one_row(tmp_path):
    out = tmp_path / "models.md"
    model_table.main(["FastSCNN", "--size", "64x32", "--out", str(out)])
    (row,) = [line for line in out.read_text().splitlines() if line.startswith("| `")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:3] == ["`fastscnn_cityscapes_1024x1024_160k`", "FastSCNN", "1.44"]
    assert all(re.fullmatch(r"\d+(\.\d+)?", cell) for cell in cells[2:])
    assert all(float(cells[i]) > 50 for i in (5, 7)), "MiB"


def test_value_the_page_has_every_recipe():
    page = (model_table.ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(.+?)` \|", page, re.MULTILINE) == list(model_table.recipes(()))
