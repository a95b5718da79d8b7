"""The last resizing of an OpenVINO model on maps of one class each, one behind the other in memory.

Convolutions leave the channels last. A resizing keeps that, and then the choice of the largest class, or the turn of
the logits to channels first, takes several times as long as the resizing; turned before it, the maps are small.
"""

from __future__ import annotations

import numpy as np
from openvino import Model, Node
from openvino import opset13 as op

#: Behind the last resizing: logits, and the choice of a class.
LAST = ("Result", "TopK")
CLASS_AXIS = 1


def resize_class_by_class(model: Model) -> int:
    """Rewrite the resizings of maps ``[N, K, H, W]`` that the logits or the classes are taken from.

    Returns:
        How many were rewritten.
    """
    found = [node for node in model.get_ordered_ops() if _is_last(node)]
    for node in found:
        _replace(node)
    model.validate_nodes_and_infer_types()
    return len(found)


def _is_last(node: Node) -> bool:
    if node.get_type_name() != "Interpolate" or node.get_input_size() != 2:
        return False
    maps = node.get_input_partial_shape(0)
    readers = [reader.get_node() for reader in node.output(0).get_target_inputs()]
    return (
        len(maps) == 4
        and maps[CLASS_AXIS].is_static
        and all(reader.get_type_name() in LAST and _axis(reader) == CLASS_AXIS for reader in readers)
    )


def _axis(reader: Node) -> int:
    return reader.get_attributes().get("axis", CLASS_AXIS)


def _replace(node: Node) -> None:
    readers = node.output(0).get_target_inputs()
    size = op.gather(node.input_value(1), _numbers(2, 3), _numbers(0))
    single = _shaped(node.input_value(0), -1, 1, 0, 0)
    resized = op.interpolate(single, size, axes=_numbers(2, 3), **node.get_attributes())
    output = _shaped(resized, -1, node.get_input_partial_shape(0)[CLASS_AXIS].get_length(), 0, 0)
    for reader in readers:
        reader.replace_source_output(output.output(0))


def _shaped(value: Node, *shape: int) -> Node:
    """Zeros keep the size they had."""
    return op.reshape(value, _numbers(*shape), special_zero=True)


def _numbers(*values: int) -> Node:
    return op.constant(np.array(values, np.int64))
