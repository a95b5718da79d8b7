"""A process that converts one exported network: python onnx_process.py PROGRAM WEIGHTS TARGET

It imports what it needs, waits for a line on standard input, converts, and ends.
``paddle2onnx`` ends a process, by an abort or an exit, whose network it cannot convert; it ends this one.
"""

from __future__ import annotations

import sys

import onnx
import paddle2onnx

OPTIONS = {"opset_version": 17, "optimize_tool": "None"}  # whoever runs it folds constants itself, and faster


def main() -> None:
    """Convert."""
    program, weights, target = sys.argv[1:]
    if not sys.stdin.readline():
        return  # whoever started this gave up
    paddle2onnx.export(program, weights, target, **OPTIONS)
    model = onnx.load(target)
    if any(node.op_type == "Loop" for node in model.graph.node):
        _name_loops_inputs(model)
        onnx.save(model, target)


def _name_loops_inputs(model: onnx.ModelProto) -> None:
    """Give the inputs of a loop's body names of their own; OpenVINO takes an outer value of the name instead."""
    for node in model.graph.node:
        for body in (
            attribute.g for attribute in node.attribute if node.op_type == "Loop" and attribute.name == "body"
        ):
            own = {value.name: f"{node.name}/{value.name}" for value in body.input}
            for value in body.input:
                value.name = own[value.name]
            for inner in body.node:
                inner.input[:] = [own.get(name, name) for name in inner.input]
            for value in body.output:
                value.name = own.get(value.name, value.name)


if __name__ == "__main__":
    main()
