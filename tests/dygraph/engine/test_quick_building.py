"""What is left away while a Program is built changes nothing of the Program, and comes back afterwards."""

from __future__ import annotations

import gc
import json
import traceback
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from paddle import nn, static
from paddle.autograd import ir_backward
from paddle.nn.layer import layers

from dygraph.engine import export, static_mode
from dygraph.engine.static_mode import building

NAMES = "struct_name"
PADDLE = str(Path(paddle.__file__).parent)


class Folded(nn.Layer):
    """A convolution, and a reshape that fits seven columns only."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2D(3, 2, 3)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return paddle.reshape(self.conv(x), [-1, 7])


def built() -> tuple[static.Program, paddle.pir.Value]:
    with building() as (main, _):
        y = Folded()(static.data("x", [None, 3, None, None], "float32"))
        paddle.autograd.ir_backward.grad(y.mean(), main.global_block().all_parameters())
    return main, y


def operators(program: static.Program) -> list[tuple]:
    """Name and attributes of every operator, without what is noted for messages and for automatic parallelism."""
    notes = ("op_callstack", NAMES)
    return [
        (op.name(), sorted((key, str(value)) for key, value in op.attrs().items() if key not in notes))
        for op in program.global_block().ops
    ]


def test_value_program_is_the_one_built_without_it(monkeypatch):
    quick = operators(built()[0])
    monkeypatch.setattr(static_mode, "quick_building", nullcontext)
    assert quick == operators(built()[0])
    assert len(quick) > 8


@pytest.mark.parametrize("with_branch", [False, True])
def test_value_lists_of_operators_are_those_of_paddle(monkeypatch, with_branch):
    """Where one operator's gradient is several, and where a branch has a block of its own."""

    def lowered():
        with building() as (main, _):
            x = static.data("x", [4, 6], "float32")
            x.stop_gradient = False
            first, second = paddle.split(x, 2, axis=1)
            joined = paddle.concat([first * second, second], axis=1)
            chosen = joined * joined
            if with_branch:
                chosen = static.nn.cond(chosen.sum() > 0, lambda: chosen * joined, lambda: joined + 1.0)
            ir_backward.grad(chosen.mean(), [x])
        branches = [op for op in main.global_block().ops if op.name() == "pd_op.if"]
        inner = [[op.name() for op in block.ops] for branch in branches for block in branch.blocks()]
        return operators(main), inner

    quick = lowered()
    monkeypatch.setattr(static_mode, "quick_building", nullcontext)
    assert quick == lowered()
    assert len(quick[1]) == (4 if with_branch else 0)


def test_value_gradients_around_batch_norms_are_those_of_paddle(monkeypatch):
    """Several in a row and beside each other, one whose output nothing reads, one in evaluation mode, and a split."""

    def lowered() -> list[tuple]:
        with building() as (main, _):
            x = static.data("x", [4, 6, 5, 5], "float32")
            norms = [nn.BatchNorm2D(6) for _ in range(4)]
            norms[2].eval()
            left = norms[1](nn.Conv2D(6, 6, 3)(norms[0](x)))
            right = norms[2](nn.Conv2D(6, 6, 3)(x))
            norms[3](left)
            first, _ = paddle.split(left + right, 2, axis=1)
            ir_backward.grad(first.mean(), main.global_block().all_parameters(), allow_unused=True)
        return operators(main)

    quick = lowered()
    monkeypatch.setattr(static_mode, "quick_building", nullcontext)
    assert quick == lowered()
    assert [name for name, _ in quick].count("pd_op.batch_norm_grad") == 3


def test_value_an_exported_network_is_the_one_exported_without_it(monkeypatch, tmp_path):
    network = nn.Sequential(nn.Conv2D(3, 4, 3), nn.BatchNorm2D(4), nn.ReLU(), nn.Conv2D(4, 2, 1))
    files = []
    for name, building_of in (("quick", export.quick_building), ("slow", nullcontext)):
        monkeypatch.setattr(export, "quick_building", building_of)
        spec = export.ExportSpec(tmp_path / name, "none")
        export.export_eager(network, spec)
        files.append((without_struct_names(json.loads(spec.model_path.read_text())), spec.params_path.read_bytes()))
    assert files[0] == files[1]
    assert len(files[0][1]) > 4 * (3 * 4 * 9 + 4 * 4 + 4 * 2)


def without_struct_names(written: Any) -> Any:
    if isinstance(written, dict):
        return {key: without_struct_names(value) for key, value in written.items()}
    if isinstance(written, list):
        return [without_struct_names(one) for one in written if not (isinstance(one, dict) and one.get("N") == NAMES)]
    return written


def test_error_of_a_run_quotes_the_line_of_the_network_and_none_of_paddle():
    main, y = built()
    with static_mode.static_mode(), static.scope_guard(static.Scope()):
        for parameter in main.global_block().all_parameters():
            tensor = static.global_scope().var(parameter.name).get_tensor()
            tensor.set(np.zeros(parameter.shape, np.float32), paddle.CPUPlace())
        with pytest.raises(ValueError, match="reshape") as raised:
            static.Executor(paddle.CPUPlace()).run(main, feed={"x": np.zeros((1, 3, 4, 4), np.float32)}, fetch_list=[y])
    quoted = str(raised.value).partition("InvalidArgumentError")[0]
    assert "return paddle.reshape(self.conv(x), [-1, 7])" in quoted
    assert PADDLE not in quoted


def test_settings_come_back_afterwards_and_after_an_error():
    before = settings()
    with building():
        assert all(now is not then for now, then in zip(settings(), before))
        assert traceback.extract_stack(limit=1)[0].name == "test_settings_come_back_afterwards_and_after_an_error"
    assert settings() == before
    with pytest.raises(ZeroDivisionError), building():
        raise ZeroDivisionError
    assert settings() == before


def settings() -> tuple:
    replaced = ir_backward.append_backward_ops, ir_backward.append_full_like
    return gc.isenabled(), layers.name_struct, traceback.extract_stack, *replaced
