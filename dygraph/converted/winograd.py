"""Convolutions of an OpenVINO model as products of matrices with about a quarter of the multiplications.

``tiles`` says of which sums, and which sums of the products are the outputs. Everything stays float32; the sums round,
to about ten times the error of plain ones.
"""

from __future__ import annotations

import numpy as np
from openvino import Model, Node, Output
from openvino import opset13 as op

from dygraph.converted.tiles import TAPS, Axis

#: With fewer channels a convolution is memory rather than multiplications.
LEAST_CHANNELS = 64
#: With fewer multiplications a convolution is not worth the 10 to 20 ms that its rewriting adds to compiling.
LEAST_MULTIPLICATIONS = 2**27
#: With fewer tiles the weights, of which there are four times as many, take the time.
LEAST_TILES = 32
#: Below this share of the multiplications the sums before and after are paid for.
MOST_MULTIPLICATIONS = 0.5
#: Operators that do the same to ``[N H W, K]`` as to ``[N, K, H, W]``.
CHANNEL_BY_CHANNEL = ("BatchNormInference", "Relu")
#: Tiles in one product, so that the memory for their sums does not grow with the image.
TILES_AT_ONCE = 256


def replace_convolutions(model: Model) -> int:
    """Rewrite the convolutions that gain by it; the model's sizes must be fixed.

    They have three by three taps, stride 1, one group and constant float32 weights; any padding and dilation.

    Returns:
        How many were rewritten.
    """
    found = [node for node in model.get_ordered_ops() if _gains(node)]
    for node in found:
        _replace(node)
    model.validate_nodes_and_infer_types()
    return len(found)


def _gains(node: Node) -> bool:
    if node.get_type_name() != "Convolution" or node.input_value(1).get_node().get_type_name() != "Constant":
        return False
    attributes = node.get_attributes()
    out, channels, *taps = node.input_value(1).get_shape()
    if taps != [TAPS, TAPS] or list(attributes["strides"]) != [1, 1] or min(out, channels) < LEAST_CHANNELS:
        return False
    rows, columns = _axes(node)
    if node.get_output_shape(0)[0] * rows.tiles * columns.tiles < LEAST_TILES:
        return False
    plain = TAPS**2 * rows.outputs * columns.outputs
    if node.get_output_shape(0)[0] * plain * out * channels < LEAST_MULTIPLICATIONS:
        return False
    return rows.multiplications * columns.multiplications <= MOST_MULTIPLICATIONS * plain


def _axes(node: Node) -> tuple[Axis, Axis]:
    attributes = node.get_attributes()
    rows, columns = (
        Axis(*sizes)
        for sizes in zip(
            list(node.input_value(0).get_shape())[2:],
            list(node.get_output_shape(0))[2:],
            attributes["dilations"],
            attributes["pads_begin"],
        )
    )
    return rows, columns


def _replace(node: Node) -> None:
    """Let whoever reads a convolution's output read it from products instead.

    What follows channel by channel stays between the products and the turn to channels first, for a convolution of one
    pixel takes channels last and is spared two copies.
    """
    images, out, *out_hw = node.get_output_shape(0)
    followers, pixels = _followers(node), _products(node)
    for follower in followers:
        follower.input(0).replace_source_output(pixels.output(0))
        follower.validate_and_infer_types()
        pixels = follower
    readers = [node, *followers][-1].output(0).get_target_inputs()
    output = _turned(_shaped(pixels, images, *out_hw, out), 0, 3, 1, 2)
    for reader in readers:
        reader.replace_source_output(output.output(0))


def _followers(node: Node) -> list[Node]:
    """The batch norm and the ReLU behind a node, each the only reader of what is before it."""
    found = [node]
    while True:
        readers = [reader.get_node() for reader in found[-1].output(0).get_target_inputs()]
        if len(readers) != 1 or readers[0].get_type_name() not in CHANNEL_BY_CHANNEL:
            return found[1:]
        found += readers


def _products(node: Node) -> Node:
    """What computes the convolution's output as rows of channels, ``[N H W, K]``.

    The products are a convolution of one pixel in groups, a group for each of a tile's products and a pixel for each
    tile, which OpenVINO has a faster way for than for products of matrices.
    """
    images, channels, *size_hw = node.input_value(0).get_shape()
    out = node.get_output_shape(0)[1]
    rows, columns = _axes(node)
    schemes = rows.scheme, columns.scheme
    after, taps, inputs = (np.kron(*(getattr(one, part) for one in schemes)) for part in ("after", "taps", "inputs"))
    weights = node.input_value(1).get_node().data.reshape(out, channels, TAPS**2)
    groups = len(inputs)
    filters = _constant(np.einsum("pt,oct->poc", taps, weights)[..., None, None])
    before, behind = _constant(inputs), _constant(after)
    reads = _reads(images, rows, columns)

    pixels = _shaped(_turned(node.input_value(0), 0, 2, 3, 1), images * size_hw[0] * size_hw[1], channels)
    parts = []
    for read in (reads[start : start + TILES_AT_ONCE] for start in range(0, len(reads), TILES_AT_ONCE)):
        sums = op.matmul(before, _shaped(_taken(pixels, read), *read.shape, channels), False, False)
        sums = _turned(_shaped(sums, 1, len(read), 1, groups * channels), 0, 3, 1, 2)
        mixed = op.group_convolution(sums, filters, [1, 1], [0, 0], [0, 0], [1, 1])
        mixed = _shaped(_turned(mixed, 0, 2, 3, 1), len(read), groups, out)
        parts.append(_shaped(op.matmul(behind, mixed, False, False), -1, out))
    tiles = op.concat(parts, axis=0) if len(parts) > 1 else parts[0]
    return _taken(tiles, _writes(images, rows, columns))


def _reads(images: int, rows: Axis, columns: Axis) -> np.ndarray:
    """``[tiles, reads of a tile]``: rows of the pixels ``[N H W, C]``; behind the last one where it is a zero."""
    row, column = rows.reads().T[:, None, :, None], columns.reads().T[None, :, None, :]
    image = np.arange(images)[:, None, None, None, None]
    pixel = (image * rows.size + row) * columns.size + column
    pixel = np.where((row < rows.size) & (column < columns.size), pixel, images * rows.size * columns.size)
    return pixel.reshape(images * rows.tiles * columns.tiles, -1)


def _writes(images: int, rows: Axis, columns: Axis) -> np.ndarray:
    """``[N H W]``: rows of the tiles' outputs ``[tiles, outputs of a tile]`` taken as one axis."""
    (row_place, row_tile), (column_place, column_tile) = rows.writes(), columns.writes()
    outputs_hw = len(rows.scheme.after), len(columns.scheme.after)
    image = np.arange(images)[:, None, None]
    tile = (image * rows.tiles + row_tile[:, None]) * columns.tiles + column_tile
    place = row_place[:, None] * outputs_hw[1] + column_place
    return (tile * outputs_hw[0] * outputs_hw[1] + place).ravel()


def _constant(values: np.ndarray) -> Node:
    return op.constant(values.astype(np.float32))


def _shaped(value: Node, *shape: int) -> Node:
    return op.reshape(value, op.constant(np.array(shape, np.int64)), special_zero=False)


def _turned(value: Node | Output, *axes: int) -> Node:
    return op.transpose(value, op.constant(np.array(axes, np.int64)))


def _taken(value: Node, rows: np.ndarray) -> Node:
    """Rows of a matrix, one after the other; zeros for a row behind the last, as OpenVINO's CPU gives them."""
    return op.gather(value, op.constant(rows.ravel().astype(np.int32)), op.constant(np.int32(0)))
