"""Print in which type every operator of a network runs under mixed precision, in both modes; works without a GPU.

python scripts/precision_table.py --config configs/fcn/fcn_hrnetw18_cityscapes_1024x512_80k.yml
python scripts/precision_table.py --config legacy/configs/hrnetw18_cityscapes_1024x512_215.yaml --precision bf16

The two columns come from different parts of Paddle (docs/precision.md). Exit code 1 where the modes disagree.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

os.environ["GLOG_minloglevel"] = "0"  # noqa: SIM112 - the eager table is read from Paddle's log

from shared.commands.run import run_command
from shared.errors import RunFailedError

if TYPE_CHECKING:
    from dygraph.engine.operator_calls import OperatorCall

IMAGE_SHAPE = (2, 3, 64, 128)  # the types do not depend on it
TYPES = {"fp16": "float16", "bf16": "bfloat16"}


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Print in which type every operator of a network runs.")
    parser.add_argument("--config", required=True, metavar="FILE", help="a file of configs/ or of legacy/configs/")
    parser.add_argument("--precision", choices=TYPES, help="the low type; default: the config's, or fp16")
    parser.add_argument("--amp_level", choices=("O1", "O2"), help="default: the config's")
    parser.add_argument("--opts", nargs="+", default=[], metavar="KEY=VALUE", help="replace config values")
    return parser.parse_args(argv)


def table(eager: Sequence[OperatorCall], static: Sequence[OperatorCall]) -> list[str]:
    """One line an operator; where the modes disagree, the line begins with ``!`` and ends with static mode's."""
    rows = []
    for one, other in zip_longest(eager, static):
        shown = one or other
        runs_in = (one.runs_in if one else "missing in eager mode") + (
            "" if one == other else f"; static: {_describe(other) if other else 'missing'}"
        )
        layer = shown.layer or "(network)"
        rows.append(("" if one == other else "!", layer, shown.operator, " ".join(_inputs(shown)), runs_in))
    heads = ("", "layer", "operator", "inputs", "runs in")
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(4)]
    return ["  ".join((*(cell.ljust(width) for cell, width in zip(row, widths)), row[4])) for row in (heads, *rows)]


def _describe(call: OperatorCall) -> str:
    return f"{call.operator}({', '.join(_inputs(call))}) of {call.layer or '(network)'} in {call.runs_in}"


def _inputs(call: OperatorCall) -> list[str]:
    """Types with how often each comes, in their order: ``float16 float32*4``."""
    return [kind if count == 1 else f"{kind}*{count}" for kind, count in Counter(call.inputs).items()]


def main(argv: Sequence[str]) -> None:
    arguments = parse_args(argv)
    import paddle

    import dygraph.build  # noqa: F401 - fills the registries the config is checked against
    from dygraph.engine.operator_types import eager_operator_types
    from dygraph.engine.precision import Precision
    from legacy.pdseg.config import load_static_config
    from legacy.pdseg.operator_types import static_operator_types
    from legacy.pdseg.session import network_builder

    run = load_static_config(arguments.config, arguments.opts, check_lists=())
    asked = run.precision.dtype if run.precision.dtype != "float32" else "float16"
    precision = Precision(TYPES.get(arguments.precision, asked), arguments.amp_level or run.precision.level)
    build = network_builder(run)
    paddle.set_device("cpu")
    eager = eager_operator_types(build(), paddle.randn(IMAGE_SHAPE), precision)
    static = static_operator_types(build, IMAGE_SHAPE, precision)
    print(f"{run.model.type} of {arguments.config}, {precision}, {run.data_format}, in training")
    print("\n".join(table(eager, static)))
    counts = Counter(call.runs_in for call in eager)
    print(f"{len(eager)} operators: " + ", ".join(f"{count} in {kind}" for kind, count in counts.most_common()))
    print("losses: in float32, on logits cast to float32; evaluation and prediction: all in float32")
    if eager != static:
        raise RunFailedError("eager and static mode disagree on the lines that begin with !")
    print("eager and static mode agree on every operator")


if __name__ == "__main__":
    run_command(main)
